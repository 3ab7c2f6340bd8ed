// SPDX-License-Identifier: Apache-2.0
// Where the server is, what it can do, and the token that it may want.

const KEY = "edgestream-token";

/** Takes the token from #token=T, and takes it out of the address, where others could read it. */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  keepToken(token);
  history.replaceState(null, "", location.pathname + location.search);
}

export function keepToken(token) {
  sessionStorage.setItem(KEY, token);
}

export function token() {
  return sessionStorage.getItem(KEY);
}

/** fetch with the token; rejects with TypeError if the server cannot be reached. */
export function request(path, { headers = {}, ...options } = {}) {
  const known = token() ? { Authorization: `Bearer ${token()}` } : {};
  return fetch(path, { ...options, headers: { ...headers, ...known }, cache: "no-store" });
}

export function socketAddress(path) {
  const address = new URL(path, location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  if (token()) address.searchParams.set("token", token());
  return address;
}

/** True unless the server says that it wants another token. */
export async function authorised() {
  const response = await request("/v1/server");
  return response.status !== 401;
}

/** The message of an error as the server writes it, or what else there is to say. */
export async function messageOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `the server answered ${response.status}`;
  }
}
