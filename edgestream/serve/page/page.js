// SPDX-License-Identifier: Apache-2.0
// The elements of index.html by their id.

export const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((e) => [e.id, e]));

/** "page", or what the address asks for: "overlay" or "read". */
export const query = new URLSearchParams(location.search);
export const mode = query.has("overlay") ? "overlay" : query.has("read") ? "read" : "page";
