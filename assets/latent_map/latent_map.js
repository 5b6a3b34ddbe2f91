// The latent map: images as points, hovered, selected and linked, without the server.
//
// plotly draws the points and nothing else; the camera, the pointer and the selection live here,
// so that the ids which light up are the ids that Python gets. A selection travels as shapes
// (see core/selection.py), never as positions or long lists.

import { element, formatCount, iconButton, loadStyle, svg } from "../shared/dom.js";
import { boundsOf, Camera, GridIndex, rowsInside } from "./geometry.js";
import { glide, placesBefore, prefersStillness } from "./glide.js";
import { HoverCard } from "./hover_card.js";
import { CategoryLegend, scoreLegend } from "./legend.js";
import { LitLayer } from "./lit_layer.js";
import { loadColours, loadPlotly, loadPoints, loadSelection } from "./resources.js";

const PICK_RADIUS = 14; // px
const CLICK_SLACK = 4; // px that a click may wander
const PREFETCH_AFTER_MS = 50;
const LASSO_STEP = 3; // px between two corners of a lasso, at first
const LASSO_CORNERS = 512; // then every second corner goes, so that the outline stays small
const VALUE_LIMIT = 18_000; // bytes of one selection as JSON
const SLOW_REDRAW_MS = 70; // slower than this, a moving picture is slid and drawn anew at rest
const SETTLE_MS = 120;
const NONE = 255; // the category of a point without one
const NONE_COLOR = "#8b929c";
const SCORE_BINS = 32; // colours of a score; more are not told apart
const LINK_SELECTION = "lacquer:selection";
const LINK_HOVER = "lacquer:hover";

/** Mounts or updates the map in its element; called again at every change of `data` or theme. */
export function mount(component) {
  const { parentElement } = component;
  parentElement.latentMap ??= new LatentMap(parentElement);
  const map = parentElement.latentMap;
  map.update(component);
  return () => {
    // Also called for a run that a newer one has overtaken: then the element is still on the page.
    if (!parentElement.isConnected) map.destroy();
  };
}

class LatentMap {
  constructor(parent) {
    this.camera = new Camera();
    this.card = new HoverCard();
    this.points = { n: 0, x: [], y: [], ids: [] };
    this.selected = new Uint8Array(0);
    this.selectedCount = 0;
    this.ops = [];
    this.seq = 0;
    this.groups = [];
    this.hidden = new Set();
    this.pointers = new Map();
    this.tool = "pan";
    this.abort = new AbortController();
    this.build(parent);
    this.listen();
  }

  // ---- the element

  build(parent) {
    this.title = element("div", { class: "lq-title" });
    this.status = element("span", { class: "lq-status", role: "status" });
    this.chip = element("div", { class: "lq-chip", hidden: true }, [
      this.status,
      iconButton("close", "Clear the selection (Esc)", () => this.clear(), { class: "lq-clear" }),
    ]);
    this.total = element("div", { class: "lq-total" });
    this.plot = element("div", { class: "lq-plot" });
    this.veil = element("div", { class: "lq-veil" });
    const litCanvas = element("canvas", { class: "lq-lit" });
    this.lit = new LitLayer(litCanvas);
    this.shape = svg("path", { class: "lq-shape" });
    this.ring = element("div", { class: "lq-ring", hidden: true });
    this.tools = this.buildTools();
    this.note = element("div", { class: "lq-note" });
    this.message = element("div", { class: "lq-message", text: "Loading the map…" });
    this.stage = element("div", { class: "lq-stage", tabindex: "0", role: "application" }, [
      this.plot, this.veil, litCanvas, svg("svg", { class: "lq-shapes" }, [this.shape]),
      this.ring, this.note, this.tools, this.message,
    ]);
    this.legendPanel = element("div", { class: "lq-legend" });
    this.root = element("div", { class: "lq lq-map", "data-state": "loading" }, [
      element("div", { class: "lq-head" }, [this.title, this.total, this.chip]),
      element("div", { class: "lq-body" }, [this.stage, this.legendPanel]),
      this.card.node,
    ]);
    this.root.style.visibility = "hidden"; // until the style sheet applies
    parent.append(this.root);
  }

  buildTools() {
    const tool = (name, label) => iconButton(name, label, () => this.setTool(name), {
      "data-tool": name, "aria-pressed": String(name === this.tool),
    });
    return element("div", { class: "lq-tools", role: "toolbar", "aria-label": "Map tools" }, [
      tool("pan", "Pan (P)"),
      tool("box", "Box select (B); Shift adds, Alt removes"),
      tool("lasso", "Lasso select (L); Shift adds, Alt removes"),
      element("i", { class: "lq-gap" }),
      iconButton("plus", "Zoom in (+)", () => this.zoomAtCentre(1.5), { "data-tool": "in" }),
      iconButton("minus", "Zoom out (-)", () => this.zoomAtCentre(1 / 1.5), { "data-tool": "out" }),
      iconButton("fit", "Show everything (0)", () => this.fit(), { "data-tool": "fit" }),
    ]);
  }

  listen() {
    const options = { signal: this.abort.signal };
    const on = (target, event, run, more = {}) => target.addEventListener(event, run, { ...options, ...more });
    on(this.stage, "pointerdown", (event) => this.onPointerDown(event));
    on(this.stage, "pointermove", (event) => this.onPointerMove(event));
    on(this.stage, "pointerup", (event) => this.onPointerUp(event));
    on(this.stage, "pointercancel", (event) => this.onPointerCancel(event));
    on(this.stage, "pointerleave", (event) => event.pointerType === "touch" || this.hover(-1));
    on(this.stage, "blur", () => this.hover(-1));
    on(this.stage, "dblclick", (event) => this.isTool(event) || this.fit());
    on(this.stage, "wheel", (event) => this.onWheel(event), { passive: false });
    on(window, "keydown", (event) => this.onKey(event), { capture: true });
    on(window, "scroll", () => this.onPageScroll(), { capture: true, passive: true });
    on(window, LINK_SELECTION, ({ detail }) => this.onLinkedSelection(detail));
    on(window, LINK_HOVER, ({ detail }) => this.onLinkedHover(detail));
    this.resizes = new ResizeObserver(() => this.moved({ resize: true }));
    this.resizes.observe(this.stage);
  }

  destroy() {
    this.abort.abort();
    this.resizes.disconnect();
    [this.sizeTimer, this.settleTimer, this.prefetchTimer].forEach(clearTimeout);
    this.card.hide();
    window.Plotly?.purge(this.plot);
    this.root.remove();
  }

  // ---- what Python gives

  update({ data, setStateValue }) {
    this.setStateValue = setStateValue;
    const before = this.data;
    if (before && JSON.stringify(before) === JSON.stringify(data)) return;
    this.data = data;
    this.title.textContent = data.title;
    this.note.textContent = data.note;
    this.stage.style.height = `max(${data.height}px, ${(100 * data.height) / 1080}vh)`; // more on a wall
    this.stage.setAttribute("aria-label", `${data.title || "Latent map"}. Arrow keys go from point to point.`);
    const drawn = before && ["version", "points_url", "colours_url", "colours_version", "legend", "kind"]
      .every((name) => JSON.stringify(before[name]) === JSON.stringify(data[name]));
    if (!drawn) this.load();
    else this.restoreSelection();
  }

  async load() {
    const { data } = this;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    this.root.dataset.state = "loading";
    try {
      const [plotly, points, colours, from] = await Promise.all([
        loadPlotly(data.plotly_url),
        loadPoints(data.points_url),
        loadColours(data.colours_url, data.kind),
        data.glide_from_url ? loadPoints(data.glide_from_url) : null,
        loadStyle(data.style_url),
      ]);
      if (turn !== this.turn) return; // overtaken by newer data
      if (colours.length !== points.n) throw new Error("The colours do not belong to these points.");
      this.plotly = plotly;
      const glides = from && points.ids !== this.points.ids && !prefersStillness();
      this.takePoints(points);
      this.takeColours(colours);
      this.places = glides ? placesBefore(points, from) : points;
      await this.draw();
      if (glides) await this.glide(turn);
    } catch (error) {
      if (turn === this.turn) this.showError(error);
      return;
    }
    this.root.dataset.state = "ready";
    this.restoreSelection();
  }

  showError(error) {
    this.root.style.visibility = "visible";
    this.root.dataset.state = "failed";
    this.message.replaceChildren(
      element("span", { text: `The map could not be loaded. ${error.message}` }),
      element("button", { type: "button", class: "lq-retry", text: "Try again", on: { click: () => this.load() } }),
    );
    this.message.hidden = false;
  }

  takePoints(points) {
    if (points.ids === this.points.ids) return;
    const kept = this.selectedIds();
    this.points = points;
    this.rowById = null;
    const own = boundsOf(points);
    this.bounds = this.data.frame ?? own; // maps that are compared show the same part of the plane
    this.index = new GridIndex(points, own);
    this.selected = new Uint8Array(points.n);
    this.light(kept);
    this.fitted = false;
  }

  takeColours(colours) {
    const { kind, legend } = this.data;
    const palette = kind === "score"
      ? scoreGroups(legend)
      : [...legend.map(({ name, color, symbol }, index) => ({ index, name, color, symbol })),
        { index: NONE, name: "none", color: NONE_COLOR, symbol: "circle" }];
    const category = kind === "score" ? binScores(colours, legend) : colours;
    this.category = category;
    const rowsOf = new Map(palette.map((group) => [group.index, []]));
    for (let row = 0; row < category.length; row++) (rowsOf.get(category[row]) ?? rowsOf.get(NONE)).push(row);
    this.groups = palette.map((group) => ({ ...group, rows: rowsOf.get(group.index) }));
    this.groupOf = new Map(this.groups.map((group) => [group.index, group]));
    this.groups = this.groups.filter((group) => group.rows.length || group.index !== NONE);
    this.groups.sort((a, b) => (b.index === NONE) - (a.index === NONE)); // points without a colour lie below
    this.hidden = new Set();
    this.showLegend();
  }

  showLegend() {
    const { kind, legend } = this.data;
    if (kind === "score") {
      this.legendPanel.replaceChildren(scoreLegend(legend, this.groupOf.get(NONE).rows.length));
      return;
    }
    const entries = this.groups.map((group) => ({
      ...group, count: legend[group.index]?.count ?? group.rows.length,
    }));
    entries.sort((a, b) => a.index - b.index);
    this.legendPanel.replaceChildren(new CategoryLegend(entries, (hidden) => this.hide(hidden)).node);
  }

  // ---- drawing

  /** Moves the points from where they are drawn to their own places. */
  async glide(turn) {
    const start = this.places;
    this.root.dataset.gliding = "";
    await glide(this.points, start, async (places) => {
      this.places = places;
      await this.plotly.restyle(this.plot, {
        x: this.traced.map((group) => Float32Array.from(group.rows, (row) => places.x[row])),
        y: this.traced.map((group) => Float32Array.from(group.rows, (row) => places.y[row])),
      });
    }, () => turn !== this.turn || !this.root.isConnected);
    if (turn !== this.turn) return;
    this.places = this.points;
    delete this.root.dataset.gliding;
    this.drawOverlays();
  }

  async draw() {
    const { n } = this.points;
    this.root.style.visibility = "visible";
    this.message.hidden = n > 0;
    this.message.textContent = "No points yet. They appear here once the images are embedded and projected.";
    if (n === 0) return;
    this.measure();
    if (!this.fitted) {
      this.camera.fit(this.bounds);
      this.fitted = true;
    }
    this.markerStep = this.markerStepNow();
    this.traced = this.groups.filter((group) => group.rows.length);
    const traces = this.traced.map((group) => ({
      type: "scattergl",
      mode: "markers",
      x: Float32Array.from(group.rows, (row) => this.places.x[row]),
      y: Float32Array.from(group.rows, (row) => this.places.y[row]),
      marker: { color: group.color, symbol: group.symbol, ...this.marker(), line: { width: 0 } },
      hoverinfo: "skip",
    }));
    const axis = { visible: false, fixedrange: true };
    await this.plotly.react(this.plot, traces, {
      width: this.camera.width,
      height: this.camera.height,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      showlegend: false,
      hovermode: false,
      dragmode: false,
      xaxis: { ...axis, range: this.camera.xRange },
      yaxis: { ...axis, range: this.camera.yRange },
    }, { staticPlot: true, plotGlPixelRatio: Math.min(devicePixelRatio, 2) });
    this.drawOverlays();
  }

  /** Takes the stage's size; true where it has changed. */
  measure() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (width === this.camera.width && height === this.camera.height) return false;
    if (!width || !height) return false;
    const whole = this.camera.zoom === 1;
    this.camera.resize(width, height);
    if (whole && this.fitted) this.camera.fit(this.bounds);
    this.lit.resize(width, height, Math.min(devicePixelRatio, 2));
    return true;
  }

  /** Small and clear for many points, larger for few and when zoomed in. */
  marker() {
    const { n } = this.points;
    const size = Math.min(11, 24.5 * n ** -0.195) * 1.28 ** this.markerStep;
    const opacity = Math.min(0.9, Math.max(0.4, 1.35 - 0.17 * Math.log10(n)) + 0.1 * this.markerStep);
    return { size: Math.min(14, size), opacity };
  }

  markerStepNow() {
    return Math.min(6, Math.max(0, Math.floor(Math.log2(this.camera.zoom))));
  }

  /** Follows the camera (or a new size) on screen, one redraw a frame at most. */
  moved({ resize = false } = {}) {
    this.resizeDue ||= resize;
    this.moveDue = true;
    this.moving ??= this.follow().finally(() => {
      this.moving = null;
    });
  }

  async follow() {
    while (this.moveDue) {
      await new Promise(requestAnimationFrame);
      this.moveDue = false;
      if (!this.plot.layout || !this.root.isConnected) return;
      clearTimeout(this.settleTimer);
      if (this.resizeDue || !(this.redrawMs > SLOW_REDRAW_MS)) {
        await this.redraw();
      } else {
        this.slide();
        this.settleTimer = setTimeout(() => this.redraw(), SETTLE_MS);
      }
    }
  }

  async redraw() {
    const started = performance.now();
    const size = this.resizeDue && this.measure()
      ? { width: this.camera.width, height: this.camera.height }
      : {};
    this.resizeDue = false;
    await this.plotly.relayout(this.plot, {
      ...size, "xaxis.range": this.camera.xRange, "yaxis.range": this.camera.yRange,
    });
    this.drawOverlays();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      this.redrawMs = performance.now() - started; // with what the graphics process took
    }));
    clearTimeout(this.sizeTimer);
    this.sizeTimer = setTimeout(() => this.adaptMarkers(), 200);
  }

  /** Moves the picture as drawn, where drawing anew is slow (no GPU): then it follows at once. */
  slide() {
    const { x, y, scale } = this.camera;
    const right = (this.drawn.x - x) * scale;
    const down = (y - this.drawn.y) * scale;
    const moved = `translate(${right}px, ${down}px) scale(${scale / this.drawn.scale})`;
    this.plot.style.transform = this.lit.canvas.style.transform = moved;
    this.placeRing();
  }

  async adaptMarkers() {
    if (this.markerStepNow() === this.markerStep) return;
    this.markerStep = this.markerStepNow();
    const { size, opacity } = this.marker();
    await this.plotly.restyle(this.plot, { "marker.size": size, "marker.opacity": opacity });
    this.drawOverlays();
  }

  async hide(hidden) {
    this.hidden = hidden;
    this.hover(-1);
    if (!this.plot.layout) return;
    await this.plotly.restyle(this.plot, { visible: this.traced.map((group) => !hidden.has(group.index)) });
    this.drawOverlays();
  }

  drawOverlays() {
    this.drawn = { x: this.camera.x, y: this.camera.y, scale: this.camera.scale };
    this.plot.style.transform = this.lit.canvas.style.transform = "";
    const lit = this.selectedCount > 0;
    this.root.classList.toggle("lq-has-selection", lit);
    if (lit) {
      const size = Math.max(3.5, this.marker().size + 1);
      const shown = this.traced.filter((group) => !this.hidden.has(group.index));
      this.lit.draw(shown, this.points, (row) => this.selected[row], this.camera, size);
    } else {
      this.lit.clear();
    }
    this.placeRing();
  }

  fit() {
    this.camera.fit(this.bounds);
    this.moved();
  }

  zoomAtCentre(factor) {
    this.camera.zoomAt(this.camera.width / 2, this.camera.height / 2, factor);
    this.moved();
  }

  // ---- hover

  isHidden = (row) => this.hidden.has(this.category[row]);

  /** The shown point nearest to a place of the stage, within the pick radius, or -1. */
  rowAt(px, py) {
    if (!this.index || this.points.n === 0 || "gliding" in this.root.dataset) return -1;
    const [x, y] = this.camera.toData(px, py);
    return this.index.nearest(x, y, PICK_RADIUS / this.camera.scale, this.isHidden);
  }

  hover(row) {
    if (row === (this.hovered ?? -1)) return;
    this.hovered = row;
    clearTimeout(this.prefetchTimer);
    const id = row < 0 ? null : this.points.ids[row];
    this.placeRing();
    this.link(LINK_HOVER, { id });
    if (row < 0) {
      this.card.hide();
      return;
    }
    const [px, py] = this.camera.toPixel(this.points.x[row], this.points.y[row]);
    const { left, top } = this.stage.getBoundingClientRect();
    const group = this.data.kind === "category" ? this.groupOf.get(this.category[row]) : null;
    this.card.show(id, left + px, top + py, group, this.data);
    this.prefetchTimer = setTimeout(() => this.prefetchAround(row), PREFETCH_AFTER_MS);
  }

  prefetchAround(row) {
    const near = [];
    const { x, y, ids } = this.points;
    this.index.visitWithin(x[row], y[row], 48 / this.camera.scale, (other, distance) => {
      if (other !== row && near.length < 2000) near.push([distance, ids[other]]);
    });
    near.sort((a, b) => a[0] - b[0]);
    this.card.prefetch(near.slice(0, 8).map(([, id]) => id), this.data.thumbnail_url);
  }

  placeRing() {
    const row = this.hovered >= 0 ? this.hovered : (this.ringed ?? -1);
    this.ring.hidden = row < 0;
    if (row < 0) return;
    const [px, py] = this.camera.toPixel(this.points.x[row], this.points.y[row]);
    this.ring.hidden = px < 0 || py < 0 || px > this.camera.width || py > this.camera.height;
    this.ring.style.transform = `translate(${px}px, ${py}px)`;
    this.ring.dataset.id = this.points.ids[row];
  }

  // ---- pointer: move, zoom, select

  isTool(event) {
    return event.target.closest(".lq-tools, .lq-message button") !== null;
  }

  placeOf(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  onPointerDown(event) {
    if (this.isTool(event) || event.button !== 0 || this.points.n === 0) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.placeOf(event));
    if (this.pointers.size > 1) {
      this.endShape();
      this.gesture = { kind: "pinch" };
      return;
    }
    const start = this.placeOf(event);
    const selects = this.tool !== "pan" || event.shiftKey || event.altKey;
    const kind = selects ? (this.tool === "box" ? "box" : "lasso") : "pan";
    this.gesture = { kind, start, last: start, corners: [start], step: LASSO_STEP, moved: false };
  }

  onPointerMove(event) {
    const place = this.placeOf(event);
    const { gesture } = this;
    if (!gesture) {
      if (event.pointerType !== "touch") this.hover(this.isTool(event) ? -1 : this.rowAt(...place));
      return;
    }
    if (gesture.kind === "pinch") {
      this.pinch(event.pointerId, place);
      return;
    }
    if (!gesture.moved && distance(place, gesture.start) <= CLICK_SLACK) return;
    gesture.moved = true;
    this.hover(-1);
    if (gesture.kind === "pan") {
      this.camera.panBy(place[0] - gesture.last[0], place[1] - gesture.last[1]);
      this.moved();
    } else {
      for (const sample of event.getCoalescedEvents?.() ?? []) this.extendShape(this.placeOf(sample));
      this.extendShape(place);
    }
    gesture.last = place;
  }

  onPointerUp(event) {
    const { gesture } = this;
    this.pointers.delete(event.pointerId);
    if (!gesture || gesture.kind === "pinch") {
      if (this.pointers.size === 0) this.gesture = null;
      return;
    }
    this.gesture = null;
    if (!gesture.moved) this.onClick(event);
    else if (gesture.kind !== "pan") this.selectShape(gesture, mode(event));
    this.endShape();
  }

  onPointerCancel(event) {
    this.pointers.delete(event.pointerId);
    this.gesture = null;
    this.endShape();
  }

  onClick(event) {
    const row = this.rowAt(...this.placeOf(event));
    if (event.pointerType === "touch" && row !== this.hovered) {
      this.hover(row); // a tap shows the card, a second tap on the same point selects it
      return;
    }
    if (row >= 0) this.apply({ op: mode(event), kind: "ids", ids: [this.points.ids[row]] });
  }

  pinch(pointer, place) {
    const others = [...this.pointers].filter(([id]) => id !== pointer);
    const before = this.pointers.get(pointer);
    if (!before || others.length === 0) return;
    const anchor = others[0][1];
    const middle = [(anchor[0] + place[0]) / 2, (anchor[1] + place[1]) / 2];
    this.camera.zoomAt(...middle, distance(anchor, place) / Math.max(1, distance(anchor, before)));
    this.camera.panBy((place[0] - before[0]) / 2, (place[1] - before[1]) / 2);
    this.pointers.set(pointer, place);
    this.moved();
  }

  onPageScroll() {
    this.scrolledAt = performance.now();
    this.hover(-1);
  }

  onWheel(event) {
    // A page being scrolled past the map goes on scrolling.
    if (performance.now() - (this.scrolledAt ?? -1e9) < 250 || this.points.n === 0) return;
    event.preventDefault();
    this.hover(-1);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    this.camera.zoomAt(...this.placeOf(event), Math.exp(-event.deltaY * lines * 0.0018));
    this.moved();
  }

  extendShape(place) {
    const { gesture } = this;
    if (gesture.kind === "box") {
      gesture.corners = [gesture.start, place];
    } else if (distance(place, gesture.corners.at(-1)) >= gesture.step) {
      gesture.corners.push(place);
      if (gesture.corners.length > LASSO_CORNERS) {
        gesture.corners = gesture.corners.filter((_, at) => at % 2 === 0);
        gesture.step *= 2;
      }
    }
    this.shape.setAttribute("d", outlineOf(gesture));
  }

  endShape() {
    this.shape.setAttribute("d", "");
  }

  /** The outline as drawn decides: what Python gets are its very corners. */
  selectShape({ kind, corners }, op) {
    if (kind === "lasso" && corners.length < 3) return;
    const path = corners.map((corner) => this.camera.toData(...corner).map(toNineDigits));
    this.apply({ op, kind, path });
  }

  // ---- selection

  apply(step) {
    const rows = step.kind === "ids"
      ? step.ids.map((id) => this.rowOf(id))
      : rowsInside(step, this.points, this.isHidden);
    if (step.op === "replace") this.selected.fill(0);
    for (const row of rows) this.selected[row] = step.op === "remove" ? 0 : 1;
    const op = {
      ...step,
      points: this.data.version,
      colours: this.hidden.size ? this.data.colours_version : null,
      hidden: [...this.hidden],
    };
    const before = this.ops;
    this.ops = step.op === "replace" ? (rows.length ? [op] : []) : [...before, op];
    if (JSON.stringify(this.ops).length > VALUE_LIMIT) {
      this.ops = before;
      this.light(this.idsBefore ?? []);
      this.announce("This selection has too many parts; start a new one");
      return;
    }
    this.selectionChanged();
  }

  clear() {
    this.selected.fill(0);
    this.ops = [];
    this.selectionChanged();
  }

  /** Tells Python and the linked maps. */
  selectionChanged() {
    this.selectedCount = this.selected.reduce((sum, one) => sum + one, 0);
    this.seq = Math.max(this.seq + 1, Date.now()); // grows across reloads too
    this.idsBefore = this.selectedIds();
    this.showSelection();
    this.link(LINK_SELECTION, { ids: this.idsBefore, ops: this.ops, seq: this.seq });
    this.setStateValue("selection", { seq: this.seq, points: this.data.version, ops: this.ops });
  }

  showSelection() {
    this.chip.hidden = this.selectedCount === 0;
    this.total.hidden = this.selectedCount > 0;
    this.total.textContent = `${formatCount(this.points.n)} ${this.points.n === 1 ? "image" : "images"}`;
    this.root.dataset.selected = this.selectedCount;
    this.announce(`${formatCount(this.selectedCount)} of ${formatCount(this.points.n)} selected`);
    if (this.plot.layout) this.drawOverlays();
  }

  announce(text) {
    this.status.textContent = text;
  }

  selectedIds() {
    const ids = new Int32Array(this.selectedCount);
    for (let row = 0, at = 0; row < this.selected.length; row++) if (this.selected[row]) ids[at++] = this.points.ids[row];
    return ids;
  }

  /** Lights exactly these images; those that are not on this map are passed over. */
  light(ids) {
    this.selected.fill(0);
    this.selectedCount = 0;
    for (const id of ids) {
      const row = this.rowOf(id);
      if (row === undefined || this.selected[row]) continue;
      this.selected[row] = 1;
      this.selectedCount++;
    }
    this.idsBefore = this.selectedIds();
    this.showSelection();
  }

  rowOf(id) {
    if (!this.rowById) {
      this.rowById = new Map();
      this.points.ids.forEach((each, row) => this.rowById.set(each, row));
    }
    return this.rowById.get(id);
  }

  /** Takes over the selection that Python keeps, unless this map already holds a newer one. */
  async restoreSelection() {
    const { selection } = this.data;
    if (this.root.dataset.state !== "ready") return; // `load` comes back here
    const version = selection?.version ?? null;
    if (version === (this.storedVersion ?? null)) {
      if (selection?.seq === this.seq) this.fold(version);
      return;
    }
    const overtaken = selection
      ? selection.seq !== null && selection.seq < this.seq
      : this.ops.length > 0 && this.seq > (this.storedSeq ?? 0);
    if (overtaken) return;
    this.storedVersion = version;
    this.storedSeq = selection?.seq ?? this.seq;
    const own = selection !== null && selection.seq === this.seq;
    if (!own) {
      const ids = selection ? await loadSelection(selection.url).catch(() => null) : [];
      if (ids === null) {
        this.storedVersion = null;
        this.announce("The selection could not be loaded");
        return;
      }
      if (this.storedVersion !== version) return; // overtaken
      this.light(ids);
      this.seq = Math.max(this.seq, selection?.seq ?? 0);
    }
    this.fold(version);
  }

  /** What Python has stored stands for all steps that led to it: values stay small. */
  fold(version) {
    this.ops = version === null ? [] : [{ op: "replace", kind: "stored", selection: version }];
  }

  // ---- maps of one group

  link(name, detail) {
    if (!this.data.group) return;
    window.dispatchEvent(new CustomEvent(name, { detail: { ...detail, group: this.data.group, source: this } }));
  }

  isLinked(detail) {
    return this.data && detail.group === this.data.group && detail.source !== this && this.points.n > 0;
  }

  onLinkedSelection(detail) {
    if (!this.isLinked(detail)) return;
    this.ops = detail.ops;
    this.seq = detail.seq;
    this.light(detail.ids);
  }

  onLinkedHover(detail) {
    if (!this.isLinked(detail)) return;
    this.ringed = detail.id === null ? -1 : (this.rowOf(detail.id) ?? -1);
    this.placeRing();
  }

  // ---- keys

  setTool(name) {
    this.tool = name;
    this.stage.dataset.tool = name;
    for (const button of this.tools.querySelectorAll("[aria-pressed]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === name));
    }
  }

  onKey(event) {
    const here = this.root.contains(document.activeElement) || this.stage.matches(":hover");
    if (!here || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const onStage = document.activeElement === this.stage;
    const run = {
      Escape: () => this.onEscape(),
      p: () => this.setTool("pan"),
      b: () => this.setTool("box"),
      l: () => this.setTool("lasso"),
      "+": () => this.zoomAtCentre(1.5),
      "=": () => this.zoomAtCentre(1.5),
      "-": () => this.zoomAtCentre(1 / 1.5),
      0: () => this.fit(),
      ...(onStage && {
        ArrowLeft: () => this.step(-1, 0),
        ArrowRight: () => this.step(1, 0),
        ArrowUp: () => this.step(0, 1),
        ArrowDown: () => this.step(0, -1),
        Enter: () => this.selectHovered(event),
        " ": () => this.selectHovered(event),
      }),
    }[event.key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  }

  onEscape() {
    if (this.gesture) {
      this.gesture = null;
      this.endShape();
    } else if (this.hovered >= 0 && !this.stage.matches(":hover")) {
      this.hover(-1);
    } else if (this.selectedCount) {
      this.clear();
    }
  }

  /** Goes to the nearest point in a direction, for those who use the keyboard. */
  step(dx, dy) {
    const { x, y, n } = this.points;
    if (n === 0) return;
    const from = this.hovered >= 0 ? [x[this.hovered], y[this.hovered]] : [this.camera.x, this.camera.y];
    let best = -1;
    let bestCost = Infinity;
    for (let row = 0; row < n; row++) {
      const ahead = (x[row] - from[0]) * dx + (y[row] - from[1]) * dy;
      const aside = Math.abs((x[row] - from[0]) * dy) + Math.abs((y[row] - from[1]) * dx);
      const cost = ahead + 2 * aside;
      if (ahead > 0 && aside <= ahead && cost < bestCost && !this.isHidden(row)) [best, bestCost] = [row, cost];
    }
    if (best < 0) return;
    const [px, py] = this.camera.toPixel(x[best], y[best]);
    if (px < 0 || py < 0 || px > this.camera.width || py > this.camera.height) {
      Object.assign(this.camera, { x: x[best], y: y[best] });
      this.moved();
    }
    this.hover(best);
  }

  selectHovered(event) {
    if (this.hovered >= 0) this.apply({ op: mode(event), kind: "ids", ids: [this.points.ids[this.hovered]] });
  }
}

function mode(event) {
  if (event.altKey) return "remove";
  return event.shiftKey ? "add" : "replace";
}

function distance([ax, ay], [bx, by]) {
  return Math.hypot(ax - bx, ay - by);
}

/** Fewer digits to send; rounded before it is used, so both sides see the same number. */
function toNineDigits(value) {
  return Number(value.toPrecision(9));
}

function outlineOf({ kind, corners }) {
  if (kind === "box") {
    const [[ax, ay], [bx, by]] = corners;
    return `M${ax} ${ay}H${bx}V${by}H${ax}Z`;
  }
  return `M${corners.map((corner) => corner.join(" ")).join("L")}Z`;
}

/** A score's colours as groups, low to high, so that scores are drawn as categories are. */
function scoreGroups({ colors }) {
  const groups = Array.from({ length: SCORE_BINS }, (_, index) => ({
    index, color: colorAt(colors, (index + 0.5) / SCORE_BINS), symbol: "circle",
  }));
  return [...groups, { index: NONE, color: NONE_COLOR, symbol: "circle" }];
}

function binScores(scores, { min, max }) {
  const span = max - min || 1;
  return Uint8Array.from(scores, (score) => (Number.isFinite(score)
    ? Math.min(SCORE_BINS - 1, Math.max(0, Math.floor(((score - min) / span) * SCORE_BINS)))
    : NONE));
}

/** The colour at a share of the way along a list of "#rrggbb". */
function colorAt(colors, share) {
  const place = share * (colors.length - 1);
  const at = Math.min(colors.length - 2, Math.floor(place));
  if (at < 0) return colors[0];
  const channel = (color, from) => parseInt(color.slice(from, from + 2), 16);
  const mixed = [1, 3, 5].map((from) => Math.round(
    channel(colors[at], from) + (place - at) * (channel(colors[at + 1], from) - channel(colors[at], from)),
  ));
  return `rgb(${mixed.join(", ")})`;
}
