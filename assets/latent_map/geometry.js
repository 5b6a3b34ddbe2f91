// Which points lie inside a shape, and which is nearest. core/selection.py holds the same geometry:
// coordinates are float32 promoted to float64; a box is [x0, x1) x [y0, y1); a lasso is what lies
// in its bounding box and, by the even-odd rule, inside its outline. The order of the arithmetic is
// the same on both sides, so the ids agree bit for bit. Change both or neither.

/** Whether (x, y) lies inside `path`, [[x, y], …], closed by itself. */
export function insidePolygon(x, y, path) {
  let inside = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const xi = path[i][0];
    const yi = path[i][1];
    const xj = path[j][0];
    const yj = path[j][1];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** Rows of the points inside a shape; `isHidden(row)` ones are left out. */
export function rowsInside({ kind, path }, { x, y, n }, isHidden) {
  const xs = path.map((point) => point[0]);
  const ys = path.map((point) => point[1]);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const rows = [];
  for (let row = 0; row < n; row++) {
    const px = x[row];
    const py = y[row];
    if (px >= left && px < right && py >= low && py < high
      && (kind === "box" || insidePolygon(px, py, path)) && !isHidden(row)) rows.push(row);
  }
  return rows;
}

/** A uniform grid over the points, for the nearest one to a place. */
export class GridIndex {
  constructor({ x, y, n }, bounds) {
    this.points = { x, y };
    this.bounds = bounds;
    const side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(n / 3))));
    this.side = side;
    this.cellWidth = (bounds.right - bounds.left) / side || 1;
    this.cellHeight = (bounds.high - bounds.low) / side || 1;
    const cells = new Int32Array(n).fill(-1);
    this.starts = new Int32Array(side * side + 1);
    for (let row = 0; row < n; row++) {
      if (!Number.isFinite(x[row] + y[row])) continue;
      cells[row] = this.rank(y[row], bounds.low, this.cellHeight) * side
        + this.rank(x[row], bounds.left, this.cellWidth);
      this.starts[cells[row] + 1]++;
    }
    for (let cell = 0; cell < side * side; cell++) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    this.rows = new Int32Array(this.starts[side * side]);
    for (let row = 0; row < n; row++) if (cells[row] >= 0) this.rows[next[cells[row]]++] = row;
  }

  rank(value, origin, step) {
    return Math.min(this.side - 1, Math.max(0, Math.floor((value - origin) / step)));
  }

  /** Calls `visit(row, squaredDistance)` for each point within `radius` of (x, y). */
  visitWithin(x, y, radius, visit) {
    const { left, low } = this.bounds;
    const firstColumn = this.rank(x - radius, left, this.cellWidth);
    const lastColumn = this.rank(x + radius, left, this.cellWidth);
    const lastLine = this.rank(y + radius, low, this.cellHeight);
    for (let line = this.rank(y - radius, low, this.cellHeight); line <= lastLine; line++) {
      const end = this.starts[line * this.side + lastColumn + 1];
      for (let at = this.starts[line * this.side + firstColumn]; at < end; at++) {
        const row = this.rows[at];
        const distance = (this.points.x[row] - x) ** 2 + (this.points.y[row] - y) ** 2;
        if (distance <= radius * radius) visit(row, distance);
      }
    }
  }

  /** The row nearest to (x, y) within `radius`, or -1. */
  nearest(x, y, radius, isHidden) {
    let best = -1;
    let bestDistance = Infinity;
    this.visitWithin(x, y, radius, (row, distance) => {
      if (distance < bestDistance && !isHidden(row)) [best, bestDistance] = [row, distance];
    });
    return best;
  }
}

/** The smallest box around all finite points; never empty, so that one point can be shown. */
export function boundsOf({ x, y, n }) {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let row = 0; row < n; row++) {
    if (!Number.isFinite(x[row] + y[row])) continue;
    if (x[row] < left) left = x[row];
    if (x[row] > right) right = x[row];
    if (y[row] < low) low = y[row];
    if (y[row] > high) high = y[row];
  }
  if (left > right) return { left: -1, right: 1, low: -1, high: 1 };
  const pad = Math.max(right - left, high - low) === 0 ? 1 : 0;
  return { left: left - pad, right: right + pad, low: low - pad, high: high + pad };
}

/** What part of the plane is on screen: a centre and one scale for both axes, in px per unit. */
export class Camera {
  constructor() {
    Object.assign(this, { x: 0, y: 0, scale: 1, width: 1, height: 1, fitted: 1 });
  }

  resize(width, height) {
    Object.assign(this, { width, height });
  }

  fit({ left, right, low, high }) {
    const margin = 24; // px, so that no marker is cut at the edge
    this.x = (left + right) / 2;
    this.y = (low + high) / 2;
    this.scale = Math.min(
      Math.max(1, this.width - 2 * margin) / (right - left || 1e-9),
      Math.max(1, this.height - 2 * margin) / (high - low || 1e-9),
    );
    this.fitted = this.scale;
  }

  /** How far the view is zoomed in, 1 = everything fits. */
  get zoom() {
    return this.scale / this.fitted;
  }

  zoomAt(px, py, factor) {
    const [x, y] = this.toData(px, py);
    const scale = Math.min(this.fitted * 5000, Math.max(this.fitted / 4, this.scale * factor));
    this.scale = scale;
    this.x = x - (px - this.width / 2) / scale;
    this.y = y + (py - this.height / 2) / scale;
  }

  panBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
  }

  toPixel(x, y) {
    return [this.width / 2 + (x - this.x) * this.scale, this.height / 2 - (y - this.y) * this.scale];
  }

  toData(px, py) {
    return [this.x + (px - this.width / 2) / this.scale, this.y - (py - this.height / 2) / this.scale];
  }

  get xRange() {
    return [this.x - this.width / 2 / this.scale, this.x + this.width / 2 / this.scale];
  }

  get yRange() {
    return [this.y - this.height / 2 / this.scale, this.y + this.height / 2 / this.scale];
  }
}
