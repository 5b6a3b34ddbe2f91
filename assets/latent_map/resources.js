// What the map fetches over HTTP: points, colours, stored selections, and plotly itself. Addresses
// are versioned by their content, so what was fetched once is never asked for again.

import { absolute } from "../shared/dom.js";

const KEPT = 12;
const buffers = new Map();

function fetchBuffer(url) {
  const address = absolute(url);
  const known = buffers.get(address);
  buffers.delete(address); // set again below: the map's order is the order of use
  const buffer = known ?? fetch(address).then((response) => {
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    return response.arrayBuffer();
  });
  buffers.set(address, buffer);
  buffer.catch(() => buffers.delete(address));
  if (buffers.size > KEPT) buffers.delete(buffers.keys().next().value);
  return buffer;
}

/** `{n, x, y, ids}` of float32, float32 and int32 arrays; row i of each is one image. */
export async function loadPoints(url) {
  const buffer = await fetchBuffer(url);
  const n = buffer.byteLength / 12;
  if (!Number.isInteger(n)) throw new Error("The points are incomplete.");
  return {
    n,
    x: new Float32Array(buffer, 0, n),
    y: new Float32Array(buffer, 4 * n, n),
    ids: new Int32Array(buffer, 8 * n, n),
  };
}

/** Category indices (uint8, 255 = none) or scores (float32, NaN = none), one for each point. */
export async function loadColours(url, kind) {
  const buffer = await fetchBuffer(url);
  return kind === "score" ? new Float32Array(buffer) : new Uint8Array(buffer);
}

/** Image ids of a selection that the server keeps. */
export async function loadSelection(url) {
  return new Int32Array(await fetchBuffer(url));
}

let plotly = null;

export function loadPlotly(url) {
  plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = absolute(url);
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      plotly = null;
      script.remove();
      reject(new Error("The chart library could not be loaded."));
    };
    document.head.append(script);
  });
  return plotly;
}
