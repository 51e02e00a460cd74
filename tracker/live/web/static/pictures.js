// Moving pictures: one connection carries those of all cameras that are shown, as multipart JPEG.
import { request } from "./api.js";

const END_OF_HEAD = [13, 10, 13, 10];

// Reads parts as they come; what has not come whole yet stays in the buffer.
export class Parts {
  constructor() {
    this.buffer = new Uint8Array(1 << 17);
    this.length = 0;
  }

  push(chunk) {
    if (this.length + chunk.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + chunk.length));
      larger.set(this.buffer.subarray(0, this.length));
      this.buffer = larger;
    }
    this.buffer.set(chunk, this.length);
    this.length += chunk.length;
  }

  *take() {
    let start = 0;
    for (;;) {
      const end = this.find(start);
      if (end < 0) break;
      const head = new TextDecoder().decode(this.buffer.subarray(start, end));
      const size = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      const from = end + END_OF_HEAD.length;
      if (this.length < from + size) break;
      const camera = decodeURIComponent(/x-camera: *(\S+)/i.exec(head)?.[1] ?? "");
      yield { camera, jpeg: this.buffer.slice(from, from + size) };
      start = from + size;
    }
    this.buffer.copyWithin(0, start, this.length);
    this.length -= start;
  }

  find(start) {
    for (let i = start; i + 3 < this.length; i++) {
      if (END_OF_HEAD.every((byte, k) => this.buffer[i + k] === byte)) return i;
    }
    return -1;
  }
}

// A canvas that shows the newest picture it was given; while it decodes one, only the newest of the rest waits.
export class Screen {
  constructor(canvas) {
    this.canvas = canvas;
    this.busy = false;
    this.next = null;
    this.shown = 0;
  }

  async show(jpeg) {
    this.next = jpeg;
    if (this.busy) return;
    this.busy = true;
    while (this.next !== null) {
      const bytes = this.next;
      this.next = null;
      try {
        const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
        if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
          this.canvas.width = bitmap.width;
          this.canvas.height = bitmap.height;
        }
        this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
        bitmap.close();
        this.shown += 1;
        this.canvas.dataset.shown = this.shown;
      } catch { /* a broken picture is one lost */ }
    }
    this.busy = false;
  }
}

// Watches until stopped; pauses while nobody can see the page, and comes back after a loss.
export function watch(path, onPicture) {
  let aborter = null;
  let pause = 500;
  let timer = 0;
  let stopped = false;

  async function run() {
    if (stopped || document.hidden || aborter) return;
    const mine = (aborter = new AbortController());
    try {
      const answer = await request(path, { signal: mine.signal });
      const reader = answer.body.getReader();
      const parts = new Parts();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        pause = 500;
        parts.push(value);
        for (const part of parts.take()) onPicture(part.camera, part.jpeg);
      }
    } catch { /* lost or stopped: below */ }
    if (aborter === mine) aborter = null;
    if (!stopped && !document.hidden) {
      timer = setTimeout(run, pause);
      pause = Math.min(pause * 2, 10000);
    }
  }

  function look() {
    clearTimeout(timer);
    if (document.hidden) {
      aborter?.abort();
      aborter = null;
    } else run();
  }

  document.addEventListener("visibilitychange", look);
  run();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
    aborter?.abort();
  };
}
