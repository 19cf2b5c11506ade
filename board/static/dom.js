// Elements. Whatever comes from a table is put in as text, never as markup.

/** An element: `h("a.button", {href}, "text", child)`; a property that begins with "on" is a listener. */
export function h(what, properties = {}, ...children) {
  const [name, ...classes] = what.split(".");
  const node = document.createElement(name || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, to] of Object.entries(value)) node.style.setProperty(property, to);
    else if (key in node && key !== "list" && typeof value !== "string") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Put other children in the place of a node's own. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Text that changes: only where it differs, so that nothing flickers and a reader is not told twice. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
