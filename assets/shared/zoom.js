// Zoom and pan of what fills a stage: wheel or pinch zooms, dragging pans, double click fits.

const MAX_ZOOM = 32;

export class Zoom {
  /** `layers` gives the elements that are moved together; each fills the stage. */
  constructor(stage, layers) {
    this.stage = stage;
    this.layers = layers;
    this.pointers = new Map();
    this.view = { x: 0, y: 0, zoom: 1 };
    stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.onPointerDown(event));
    stage.addEventListener("pointermove", (event) => this.onPointerMove(event));
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    stage.addEventListener("dblclick", () => this.fit());
  }

  fit() {
    this.view = { x: 0, y: 0, zoom: 1 };
    this.transform();
  }

  /** Zooms about a place, in px from the stage's centre. */
  zoomAt(px, py, factor) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.view.zoom * factor));
    const by = zoom / this.view.zoom;
    this.view = { zoom, x: px - (px - this.view.x) * by, y: py - (py - this.view.y) * by };
    if (zoom === 1) this.view = { x: 0, y: 0, zoom };
    this.transform();
  }

  /** The layers moved by (x, y) px from the centre, then scaled. */
  transform() {
    const { x, y, zoom } = this.view;
    for (const layer of this.layers()) layer.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    this.stage.toggleAttribute("data-zoomed", zoom > 1);
  }

  fromCentre({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return [clientX - left - width / 2, clientY - top - height / 2];
  }

  onWheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    this.zoomAt(...this.fromCentre(event), Math.exp(-event.deltaY * lines * 0.002));
  }

  onPointerDown(event) {
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.fromCentre(event));
  }

  onPointerMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.fromCentre(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const spread = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
      this.zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, spread(now) / Math.max(1, spread(before)));
    } else if (this.view.zoom > 1) {
      this.view.x += now[0] - before[0];
      this.view.y += now[1] - before[1];
      this.transform();
    }
  }
}
