// SPDX-License-Identifier: Apache-2.0
// The newest picture of the server's camera, beside the comments.

import { request } from "./server.js";

const EACH_MS = 250;
const AGAIN_MS = 3000; // after a picture that could not be had

export class Camera {
  #timer = null;
  #running = false;

  constructor(page, name) {
    Object.assign(this, { page, name });
    this.image = page.camera.querySelector("img");
    page.camera.querySelector("figcaption").textContent = name;
  }

  start() {
    this.#running = true;
    this.#next();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    this.page.camera.hidden = true;
  }

  async #next() {
    const there = document.hidden || (await this.#show());
    if (this.#running) this.#timer = setTimeout(() => this.#next(), there ? EACH_MS : AGAIN_MS);
  }

  /** Whether there was one. */
  async #show() {
    try {
      const response = await request("/v1/picture.jpg");
      if (!response.ok) return false;
      const before = this.image.src;
      this.image.src = URL.createObjectURL(await response.blob());
      await this.image.decode().finally(() => URL.revokeObjectURL(before));
      this.page.camera.hidden = !this.#running;
      return true;
    } catch {
      return false; // the state of the comments tells of the connection
    }
  }
}
