// Images fetched and decoded before they are needed, so that the next is there at once.

import { addressOf } from "../shared/dom.js";

const KEPT = 24;

export class ImageStore {
  constructor() {
    this.held = new Map(); // in the order of use
  }

  /** `{image, ready}` of an address: the element, and whether it could be decoded, when that is known. */
  get(template, id) {
    const address = addressOf(template, id);
    const held = this.held.get(address) ?? fetchImage(address);
    this.held.delete(address);
    this.held.set(address, held);
    if (this.held.size > KEPT) this.held.delete(this.held.keys().next().value);
    return held;
  }

  /** Forgets one that could not be had: it may be there the next time. */
  forget(template, id) {
    this.held.delete(addressOf(template, id));
  }
}

const warmed = new Set();

/** Brings a small image into the browser's cache. */
export function warm(template, id) {
  const address = addressOf(template, id);
  if (warmed.has(address)) return;
  warmed.add(address);
  new Image().src = address;
}

function fetchImage(address) {
  const image = new Image();
  image.src = address;
  return { image, ready: image.decode().then(() => true, () => false) };
}
