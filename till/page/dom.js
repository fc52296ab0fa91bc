// A screen is a tree of plain objects; patch makes the document show it and changes only what differs, so that an animation runs on
// while the seconds beside it change. Texts become text nodes and nothing else: no text is ever read as HTML.

const svg = 'http://www.w3.org/2000/svg';

// h returns one node: its element's name, attributes and children. Children that are null or false are left out.
export function h(name, attrs, ...children) {
  return { name, attrs: attrs || {}, children: children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false) };
}

// patch makes the children of an element those of the tree. A node with another key is made anew.
export function patch(parent, nodes) {
  nodes.forEach((node, i) => patchOne(parent, parent.childNodes[i], node));
  while (parent.childNodes.length > nodes.length) parent.lastChild.remove();
}

function patchOne(parent, old, node) {
  if (typeof node !== 'object') return patchText(parent, old, String(node));
  if (old && old.madeOf === madeOf(node)) return update(old, node);
  put(parent, old, create(node, parent));
}

function patchText(parent, old, text) {
  if (!old || old.nodeType !== Node.TEXT_NODE) return put(parent, old, document.createTextNode(text));
  if (old.data !== text) old.data = text;
}

function put(parent, old, fresh) {
  if (old) parent.replaceChild(fresh, old);
  else parent.appendChild(fresh);
}

function madeOf(node) {
  return `${node.name} ${node.attrs.key || ''}`;
}

function create(node, parent) {
  const drawn = node.name === 'svg' || parent.namespaceURI === svg;
  const element = drawn ? document.createElementNS(svg, node.name) : document.createElement(node.name);
  element.madeOf = madeOf(node);
  update(element, node);
  return element;
}

function update(element, node) {
  const wanted = Object.entries(node.attrs).filter(([name, value]) => name !== 'key' && value !== null && value !== undefined && value !== false);
  const names = new Set(wanted.map(([name]) => name));
  for (const name of element.getAttributeNames()) {
    if (!names.has(name)) element.removeAttribute(name);
  }
  for (const [name, value] of wanted) {
    const text = value === true ? '' : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
  patch(element, node.children);
}
