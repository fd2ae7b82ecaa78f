"use strict";

// Elements of HTML and SVG. Texts are always set as texts, so nothing from a run becomes markup.

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

const DATA = JSON.parse(document.getElementById("data").textContent);

// A number as the tables write it.
function written(value) {
  return value.toFixed(2);
}

function interval([low, mean, high]) {
  return low === high ? written(mean) : `${written(mean)} [${written(low)}, ${written(high)}]`;
}

function counted(steps) {
  return Math.round(steps).toLocaleString("en-US");
}

// Black has no contrast in the dark: what is black is drawn in the colour of the text.
function inkOf(colour) {
  return colour.toLowerCase() === "#000000" ? "var(--ink)" : colour;
}
