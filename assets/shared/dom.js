// What every component here needs of the page: elements, icons, addresses, style sheets.
// Text from files is untrusted: it only ever becomes a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties (`class`, `text`, `on`, attributes) and children. */
export function element(tag, properties = {}, children = []) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function svg(tag, attributes = {}, children = []) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Strokes on a 16 px grid.
const ICONS = {
  pan: "M8 1.5v13M1.5 8h13M6 3.5l2-2 2 2M6 12.5l2 2 2-2M3.5 6l-2 2 2 2M12.5 6l2 2-2 2",
  box: "M2.5 2.5h3M8 2.5h2M13.5 2.5v3M13.5 8v2M13.5 13.5h-3M8 13.5H6M2.5 13.5v-3M2.5 8V6",
  lasso: "M8 2.5c3.6 0 6 1.6 6 3.9s-2.400 3.900-6 3.900-6-1.600-6-3.900 2.400-3.900 6-3.900zM5.200 9.900c-.9.5-1.200 1.300-.7 1.900.6.700 1.700.300 1.900-.5.2-.7-.3-1.200-1.200-1.400zM5.800 12.300c-.1 1.100-.8 1.900-2 2.200",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  fit: "M2.500 6v-3.500h3.500M10 2.500h3.500v3.500M13.500 10v3.500h-3.500M6 13.500h-3.500v-3.500",
  close: "M4 4l8 8M12 4l-8 8",
  enlarge: "M9.500 2.500h4v4M6.500 13.500h-4v-4M13.500 2.500l-4.500 4.500M2.500 13.500l4.500-4.500",
  similar: "M6.500 2.500a4 4 0 1 0 .01 0zM9.500 5.500a4 4 0 1 1-.01 8 4 4 0 0 1 .01-8z",
  previous: "M10 3l-5 5 5 5",
  next: "M6 3l5 5-5 5",
  check: "M3.500 8.500l3 3 6-7",
  flag: "M4 14v-11.500h8l-2 3 2 3h-8",
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 16 16", class: "lq-icon", "aria-hidden": "true" }, [
    svg("path", { d: ICONS[name] }),
  ]);
}

/** A button that shows an icon; `label` is its tooltip and its name for screen readers. */
export function iconButton(name, label, onClick, attributes = {}) {
  const button = element("button", { type: "button", title: label, "aria-label": label, ...attributes }, [icon(name)]);
  button.addEventListener("click", onClick);
  return button;
}

/** Resolves an address against the page, so that a base path in front of the app is kept. */
export function absolute(url) {
  return new URL(url, document.baseURI).href;
}

/** The address of one image's resource, from a template that holds "{id}". */
export function addressOf(template, id) {
  return absolute(template.replace("{id}", String(id)));
}

const styleSheets = new Map();

/** Loads a style sheet once for the page; resolves when it applies. */
export function loadStyle(url) {
  const href = absolute(url);
  if (!styleSheets.has(href)) {
    styleSheets.set(href, new Promise((resolve, reject) => {
      const link = element("link", { rel: "stylesheet", href, on: { load: resolve, error: () => {
        styleSheets.delete(href);
        link.remove();
        reject(new Error("The style sheet could not be loaded."));
      } } });
      document.head.append(link);
    }));
  }
  return styleSheets.get(href);
}

const whole = new Intl.NumberFormat("en-US");

/** 100000 → "100,000". */
export function formatCount(n) {
  return whole.format(n);
}

const cards = new Map();
const CARDS_KEPT = 500;

/** What is known of an image: `{title, rows: [[name, value], …]}`; kept for the last 500 images. */
export function fetchCard(template, id) {
  const url = addressOf(template, id);
  if (!cards.has(url)) {
    const card = fetch(url).then((response) => {
      if (!response.ok) throw new Error(`The server answered ${response.status}.`);
      return response.json();
    });
    card.catch(() => cards.delete(url));
    cards.set(url, card);
    if (cards.size > CARDS_KEPT) cards.delete(cards.keys().next().value);
  }
  return cards.get(url);
}

/** Shows a card's rows in a `<dl>`. */
export function showRows(list, rows) {
  list.replaceChildren(...rows.flatMap(([name, value]) => [
    element("dt", { text: name }),
    element("dd", { text: value, title: value }),
  ]));
}

/** A short word with a mark of its colour. */
export function badgeOf({ text, color }) {
  const badge = element("span", { class: "lq-badge" }, [element("i"), element("span", { text })]);
  badge.firstChild.style.background = color;
  return badge;
}
