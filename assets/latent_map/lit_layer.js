// The selected points, drawn bright above the dimmed map. Stamped into pixels by hand: 100,000
// points take some 10 ms on a processor, where selecting inside the chart redraws everything.

import { stamp } from "./symbols.js";

export class LitLayer {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  resize(width, height, pixelRatio) {
    this.pixelRatio = pixelRatio;
    this.canvas.width = Math.max(1, Math.round(width * pixelRatio));
    this.canvas.height = Math.max(1, Math.round(height * pixelRatio));
    this.image = null;
  }

  clear() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.image = null;
  }

  /** Draws the lit rows of each group (`{rows, color, symbol}`) with markers of `size` CSS px. */
  draw(groups, points, isLit, camera, size) {
    const { width, height } = this.canvas;
    this.image ??= new ImageData(width, height);
    const pixels = this.image.data.fill(0);
    const ratio = this.pixelRatio;
    const scale = camera.scale * ratio;
    const left = width / 2 - camera.x * scale;
    const top = height / 2 + camera.y * scale;
    for (const { rows, color, symbol } of groups) {
      const [red, green, blue] = parseColor(color);
      const { side, alpha } = stamp(symbol, size * ratio);
      const half = side >> 1;
      for (const row of rows) {
        if (!isLit(row)) continue;
        const px = Math.floor(left + points.x[row] * scale) - half;
        const py = Math.floor(top - points.y[row] * scale) - half;
        if (!(px >= 0 && py >= 0 && px + side <= width && py + side <= height)) continue;
        for (let line = 0, from = 0; line < side; line++) {
          let at = 4 * ((py + line) * width + px);
          for (let column = 0; column < side; column++, from++, at += 4) {
            const over = alpha[from];
            if (over === 0) continue;
            if (over === 255) {
              pixels[at] = red;
              pixels[at + 1] = green;
              pixels[at + 2] = blue;
              pixels[at + 3] = 255;
              continue;
            }
            const under = (pixels[at + 3] * (255 - over)) / 255;
            const total = over + under;
            pixels[at] = (red * over + pixels[at] * under) / total;
            pixels[at + 1] = (green * over + pixels[at + 1] * under) / total;
            pixels[at + 2] = (blue * over + pixels[at + 2] * under) / total;
            pixels[at + 3] = total;
          }
        }
      }
    }
    this.context.putImageData(this.image, 0, 0);
  }
}

const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

function parseColor(color) {
  probe.fillStyle = color;
  probe.fillRect(0, 0, 1, 1);
  return probe.getImageData(0, 0, 1, 1).data;
}
