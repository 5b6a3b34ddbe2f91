// Where does an image lie among all others? A small map, drawn once, with a ring at the image.

import { absolute, element } from "../shared/dom.js";

const MOST_DRAWN = 20_000;
const MARGIN = 8;
const NONE = "#aab0b6";

export class MiniMap {
  constructor({ onOpen }) {
    this.canvas = element("canvas", { class: "lq-points" });
    this.ring = element("i", { class: "lq-ring", hidden: true });
    this.node = element("button", {
      type: "button", class: "lq-map-button", title: "Open it in the latent space", "aria-label": "Open it in the latent space", hidden: true,
      on: { click: () => onOpen(this.id) },
    }, [this.canvas, this.ring]);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.node);
  }

  destroy() {
    this.observer.disconnect();
  }

  /** @param map `{points_url, colours_url, palette}`, or null where nothing has been projected. */
  async configure(map) {
    if (map?.points_url === this.url) return;
    this.url = map?.points_url;
    this.points = null;
    this.node.hidden = true;
    if (!map) return;
    try {
      const [points, colours] = await Promise.all([fetchBytes(map.points_url), fetchBytes(map.colours_url)]);
      if (this.url === map.points_url) this.take(points, new Uint8Array(colours), map.palette);
    } catch {
      this.url = undefined; // without its map an image can still be judged; the next answer tries again
    }
  }

  take(buffer, colours, palette) {
    const n = Math.floor(buffer.byteLength / 12);
    const [x, y, ids] = [new Float32Array(buffer, 0, n), new Float32Array(buffer, 4 * n, n), new Int32Array(buffer, 8 * n, n)];
    const span = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
    this.bounds = [span(x), span(y)];
    this.points = { n, x, y, colours, palette };
    this.rows = new Map();
    for (let row = 0; row < n; row += 1) this.rows.set(ids[row], row);
    this.node.hidden = n === 0;
    this.draw();
  }

  show(id) {
    this.id = id;
    const row = this.points ? this.rows.get(id) : undefined;
    this.ring.hidden = row === undefined;
    if (row === undefined) return;
    const [left, top] = this.toPixel(this.points.x[row], this.points.y[row]);
    this.ring.style.left = `${left}px`;
    this.ring.style.top = `${top}px`;
  }

  /** One scale for both axes: distances mean the same in each direction. */
  toPixel(x, y) {
    const { clientWidth: width, clientHeight: height } = this.node;
    const [[left, right], [low, high]] = this.bounds;
    const scale = Math.min((width - 2 * MARGIN) / (right - left || 1), (height - 2 * MARGIN) / (high - low || 1));
    return [width / 2 + (x - (left + right) / 2) * scale, height / 2 - (y - (low + high) / 2) * scale];
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.node;
    if (!this.points || !width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const ink = this.canvas.getContext("2d");
    ink.scale(ratio, ratio);
    ink.globalAlpha = 0.55;
    const { n, x, y, colours, palette } = this.points;
    const step = Math.max(1, Math.ceil(n / MOST_DRAWN));
    const size = n > 5000 ? 1.2 : 2;
    for (let row = 0; row < n; row += step) {
      const [px, py] = this.toPixel(x[row], y[row]);
      ink.fillStyle = palette[colours[row]] ?? NONE;
      ink.fillRect(px - size / 2, py - size / 2, size, size);
    }
    this.show(this.id);
  }
}

async function fetchBytes(url) {
  const response = await fetch(absolute(url));
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.arrayBuffer();
}
