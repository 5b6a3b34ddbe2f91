// Plotly's marker symbols as outlines, for the legend's swatches and the lit points.

import { svg } from "../shared/dom.js";

// Paths on a square of side 2 around the origin.
const OUTLINES = {
  circle: "M1 0A1 1 0 1 1 -1 0A1 1 0 1 1 1 0Z",
  square: "M-.88 -.88H.88V.88H-.88Z",
  diamond: "M0 -1.200L1.200 0 0 1.200 -1.200 0Z",
  cross: "M-.4 -1.100H.4V-.4H1.100V.4H.4V1.100H-.4V.4H-1.100V-.4H-.4Z",
  x: "M0 -.5L.6 -1.100 1.100 -.6 .5 0 1.100 .6 .6 1.100 0 .5 -.6 1.100 -1.100 .6 -.5 0 -1.100 -.6 -.6 -1.100Z",
  "triangle-up": "M0 -1.150L1.100 .8H-1.100Z",
  "triangle-down": "M0 1.150L1.100 -.8H-1.100Z",
  pentagon: "M0 -1.100L1.050 -.34 .65 .9H-.65L-1.050 -.34Z",
  hexagon: "M0 -1.100L.95 -.55V.55L0 1.100 -.95 .55V-.55Z",
  star: "M0 -1.250L.37 -.4 1.190 -.39 .55 .18 .74 1.010 0 .57 -.74 1.010 -.55 .18 -1.190 -.39 -.37 -.4Z",
};

function outline(symbol) {
  return OUTLINES[symbol] ?? OUTLINES.circle;
}

/** A legend swatch. */
export function swatch(symbol, color) {
  return svg("svg", { viewBox: "-1.4 -1.4 2.8 2.8", class: "lq-swatch", "aria-hidden": "true" }, [
    svg("path", { d: outline(symbol), fill: color }),
  ]);
}

/** A symbol's coverage as `{side, alpha}`: uint8 alpha of side x side px, for a given diameter. */
export function stamp(symbol, diameter) {
  const side = Math.ceil(diameter * 1.3) | 1;
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.translate(side / 2, side / 2);
  context.scale(diameter / 2, diameter / 2);
  context.fill(new Path2D(outline(symbol)));
  const rgba = context.getImageData(0, 0, side, side).data;
  return { side, alpha: Uint8Array.from({ length: side * side }, (_, at) => rgba[4 * at + 3]) };
}
