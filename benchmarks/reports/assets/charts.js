// Learning curves and frontiers as SVG, which are drawn again when their width changes.

const MARGINS = { top: 12, right: 12, bottom: 40, left: 56 };
const HEIGHT = 300;
const NARROW = 480;
const DASHES = { "-": "", "--": "7 4", ":": "2 3", "-.": "8 3 2 3" };
const STAR = [...Array(10).keys()].map((k) => [k % 2 ? 0.45 : 1.15, (k * Math.PI) / 5]);

// The outlines of marks around 0, 0, by matplotlib's letters.
const MARKS = {
  o: "M5 0A5 5 0 1 1 -5 0A5 5 0 1 1 5 0Z",
  s: "M-4.5 -4.5H4.5V4.5H-4.5Z",
  D: "M0 -6L6 0L0 6L-6 0Z",
  "^": "M0 -6L5.5 4.5H-5.5Z",
  v: "M0 6L5.5 -4.5H-5.5Z",
  P: "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
  X: "M-5.5 -3L-3 -5.5L0 -2.5L3 -5.5L5.5 -3L2.5 0L5.5 3L3 5.5L0 2.5L-3 5.5L-5.5 3L-2.5 0Z",
  star: `M${STAR.map(([r, a]) => `${(6.5 * r * Math.sin(a)).toFixed(2)} ${(-6.5 * r * Math.cos(a)).toFixed(2)}`).join("L")}Z`,
};

function mark(kind, colour, attributes = {}) {
  return drawing("path", { d: MARKS[kind], fill: inkOf(colour), class: "edge", "stroke-width": 1, ...attributes });
}

// About `count` round numbers between two.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((size) => size >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step || 0);
  return { step, values: found };
}

// The ends of an axis that holds all values and some room.
function ends(values, room) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const more = (high - low || Math.abs(high) || 1) * room;
  return [low - more, high + more];
}

function shortened(value, step) {
  for (const [unit, name] of [[1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= unit) return `${Number((value / unit).toPrecision(6))}${name}`;
  }
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (String(step).includes("25") ? 1 : 0)));
}

// The ground of a chart: its axes with their names, and where values lie.
function plane(width, across, up, names) {
  const [right, bottom] = [width - MARGINS.right, HEIGHT - MARGINS.bottom];
  const x = (value) => MARGINS.left + ((value - across[0]) / (across[1] - across[0])) * (right - MARGINS.left);
  const y = (value) => bottom - ((value - up[0]) / (up[1] - up[0])) * (bottom - MARGINS.top);
  const svg = drawing("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` });
  const [columns, rows] = [ticks(...across, width < 420 ? 4 : 6), ticks(...up, 5)];
  for (const value of rows.values) {
    svg.append(
      drawing("line", { class: "grid", x1: MARGINS.left, x2: right, y1: y(value), y2: y(value) }),
      drawing("text", { x: MARGINS.left - 8, y: y(value) + 4, "text-anchor": "end" }, shortened(value, rows.step)),
    );
  }
  for (const value of columns.values) {
    svg.append(
      drawing("line", { class: "axis", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 4 }),
      drawing("text", { x: x(value), y: bottom + 17, "text-anchor": "middle" }, shortened(value, columns.step)),
    );
  }
  const middle = (MARGINS.top + bottom) / 2;
  svg.append(
    drawing("line", { class: "axis", x1: MARGINS.left, x2: right, y1: bottom, y2: bottom }),
    drawing("text", { x: width < 420 ? width / 2 : (MARGINS.left + right) / 2, y: HEIGHT - 5, "text-anchor": "middle" }, names.across),
    drawing("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, names.up),
  );
  return { svg, x, y, right, bottom, inverse: (px) => across[0] + ((px - MARGINS.left) / (right - MARGINS.left)) * (across[1] - across[0]) };
}

// Lines of exact values with their names, which stand below their line where they would cover another.
function drawLevels(at, levels) {
  let taken = -Infinity;
  for (const [value, name] of [...levels].sort((one, other) => other[0] - one[0])) {
    const high = at.y(value);
    const place = high - 4 - taken < 13 ? high + 13 : high - 4;
    taken = place;
    at.svg.append(
      drawing("line", { class: "level", x1: MARGINS.left, x2: at.right, y1: high, y2: high }),
      drawing("text", { class: "halo", x: at.right, y: place, "text-anchor": "end" }, name),
    );
  }
}

// What is told beside the pointer, or beside what has the focus. Rows are [a swatch, a name, a value].
function makeTip(figure) {
  const tip = element("div", { class: "tip", hidden: true, role: "status" });
  figure.append(tip);
  return {
    show(title, rows, x, y) {
      const items = rows.map(([sign, name, value]) => element("li", {}, sign, element("span", {}, name), element("b", {}, value)));
      tip.replaceChildren(element("p", {}, title), element("ul", {}, ...items));
      tip.hidden = false;
      const room = figure.clientWidth - tip.offsetWidth;
      const beside = x + 16 + tip.offsetWidth > figure.clientWidth ? x - 16 - tip.offsetWidth : x + 16;
      tip.style.left = `${Math.max(0, Math.min(room, beside))}px`;
      tip.style.top = `${figure.clientWidth < NARROW ? figure.clientHeight : y}px`; // on a phone it would cover the chart
    },
    hide() {
      tip.hidden = true;
    },
  };
}

function swatch(look, kind = look.mark) {
  const line = drawing("line", { x1: 0, x2: 28, y1: 8, y2: 8, stroke: inkOf(look.colour), "stroke-width": 2, "stroke-dasharray": DASHES[look.dash] });
  const sign = mark(kind, look.colour, { transform: "translate(14 8)" });
  return drawing("svg", { class: "swatch", width: 28, height: 16, "aria-hidden": "true" }, look.dash ? line : null, sign);
}

// A chart that is drawn by `draw(width)` into `figure` whenever its width changes.
function keepDrawn(figure, draw) {
  let last = 0;
  const redraw = () => {
    last = figure.clientWidth;
    if (last) draw(Math.max(260, last));
  };
  new ResizeObserver(() => requestAnimationFrame(() => figure.clientWidth !== last && redraw())).observe(figure);
  redraw();
  return redraw;
}

// The name of every series, which shows or hides it in all charts of a game.
function makeLegend(series, hidden, changed) {
  const items = series.map((one) => {
    const button = element("button", { type: "button", "aria-pressed": "true", title: "Show or hide" }, swatch(one), element("span", {}, one.label));
    button.addEventListener("click", () => {
      hidden.has(one) ? hidden.delete(one) : hidden.add(one);
      button.setAttribute("aria-pressed", String(!hidden.has(one)));
      changed();
    });
    return element("li", {}, button);
  });
  return element("ul", { class: "legend", "aria-label": "Series" }, ...items);
}

// Learning curves

function curvePanel(game, panel, number, hidden) {
  const figure = element("figure", {}, element("figcaption", {}, panel.title));
  const tip = makeTip(figure);
  const all = game.series.filter((one) => one.curves[number]);
  const name = `Learning curves: ${panel.title}, ${all.length} lines. Left and right read the values at each step.`;
  let focus = -1; // of the steps that are told, by the keyboard

  function draw(width) {
    figure.querySelector("svg:not(.swatch)")?.remove();
    const shown = all.filter((one) => !hidden.has(one));
    const curves = all.map((one) => one.curves[number]);
    const values = [...curves.flatMap((curve) => [...curve.low, ...curve.high]), ...panel.levels.map(([value]) => value)];
    const last = Math.max(...curves.map((curve) => curve.steps.at(-1)));
    const at = plane(width, [0, last], ends(values, 0.08), { across: "environment steps, those of the mechanism included", up: "" });
    drawLevels(at, panel.levels);
    shown.forEach((one) => at.svg.append(drawCurve(at, one, one.curves[number], all.indexOf(one))));
    const cross = drawing("line", { class: "cross", y1: MARGINS.top, y2: at.bottom, visibility: "hidden" });
    at.svg.append(cross);
    const grid = [...new Set(shown.flatMap((one) => one.curves[number].steps))].sort((one, other) => one - other);

    function tell(step) {
      const rows = shown
        .map((one) => [one, valuesAt(one.curves[number], step, last)])
        .filter(([, found]) => found)
        .sort(([, one], [, other]) => other[1] - one[1]);
      cross.setAttribute("x1", at.x(step));
      cross.setAttribute("x2", at.x(step));
      cross.setAttribute("visibility", "visible");
      tip.show(`${counted(step)} steps`, rows.map(([one, found]) => [swatch(one), one.label, interval(found)]), at.x(step), 40);
    }

    function leave() {
      cross.setAttribute("visibility", "hidden");
      tip.hide();
    }

    filled(at.svg, {
      tabindex: 0,
      role: "img",
      "aria-label": name,
      onpointermove: (event) => {
        const wanted = at.inverse(event.clientX - at.svg.getBoundingClientRect().left);
        if (grid.length) tell(grid.reduce((best, step) => (Math.abs(step - wanted) < Math.abs(best - wanted) ? step : best)));
      },
      onpointerleave: leave,
      onblur: leave,
      onfocus: () => at.svg.matches(":focus-visible") && grid.length && tell(grid.at(focus)),
      onkeydown: (event) => {
        const from = focus < 0 ? grid.length - 1 : focus;
        const moved = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: grid.length - 1 }[event.key];
        if (event.key === "Escape") leave();
        if (moved === undefined || !grid.length) return;
        event.preventDefault();
        focus = Math.max(0, Math.min(grid.length - 1, moved));
        tell(grid[focus]);
      },
    }, []);
    figure.insertBefore(at.svg, figure.querySelector(".tip"));
  }

  return { figure, redraw: keepDrawn(figure, draw) };
}

function drawCurve(at, look, curve, order) {
  const [colour, points] = [inkOf(look.colour), curve.steps.map((step, k) => [at.x(step), at.y(curve.mean[k])])];
  const edge = (values) => curve.steps.map((step, k) => `${at.x(step).toFixed(1)} ${at.y(values[k]).toFixed(1)}`);
  const band = `M${[...edge(curve.low), ...edge(curve.high).reverse()].join("L")}Z`;
  const line = `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
  const marked = points.filter((_, k) => k % 12 === (3 * order) % 12 || points.length < 4);
  return drawing(
    "g",
    {},
    drawing("path", { d: band, fill: colour, "fill-opacity": 0.13 }),
    drawing("path", { d: line, fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": DASHES[look.dash] }),
    ...marked.map(([x, y]) => mark(look.mark, look.colour, { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(.8)` })),
  );
}

// The low end, the mean and the high end at the step nearest to one; null where the curve is not there.
function valuesAt(curve, step, span) {
  let best = 0;
  curve.steps.forEach((each, k) => {
    if (Math.abs(each - step) < Math.abs(curve.steps[best] - step)) best = k;
  });
  return Math.abs(curve.steps[best] - step) > span / 60 ? null : [curve.low[best], curve.mean[best], curve.high[best]];
}

// The frontier

function frontier(game, hidden) {
  const figure = element("figure", {});
  const tip = makeTip(figure);
  const { near, optimum } = game.frontier;

  function draw(width) {
    figure.querySelector("svg:not(.swatch)")?.remove();
    const shown = game.series.filter((one) => !hidden.has(one));
    const everything = [...game.series, ...near];
    const up = [...everything.flatMap((one) => one.welfare), ...(optimum === null ? [] : [optimum])];
    const at = plane(width, ends([0, ...everything.flatMap((one) => one.payment)], 0.05), ends(up, 0.1), {
      across: "principal's payment in an episode",
      up: "welfare of an episode",
    });
    drawLevels(at, optimum === null ? [] : [[optimum, "social optimum"]]);
    filled(at.svg, { role: "group", "aria-label": "Welfare against payment" }, []);
    for (const one of near) at.svg.append(point(at, one, "star", "#767676", tip));
    for (const one of shown) at.svg.append(point(at, one, one.mark, one.colour, tip));
    figure.insertBefore(at.svg, figure.querySelector(".tip"));
  }

  return { figure, redraw: keepDrawn(figure, draw) };
}

function point(at, one, kind, colour, tip) {
  const [x, y] = [at.x(one.payment[1]), at.y(one.welfare[1])];
  const bar = (x1, x2, y1, y2) => drawing("line", { x1, x2, y1, y2, stroke: inkOf(colour), "stroke-width": 1.2 });
  const name = one.label ?? one.name;
  const sign = () => drawing("svg", { class: "swatch", width: 16, height: 16, "aria-hidden": "true" }, mark(kind, colour, { transform: "translate(8 8)" }));
  const rows = [[sign(), "welfare", interval(one.welfare)], ["", "payment", interval(one.payment)]];
  const tell = () => tip.show(name, rows, x, Math.min(y + 14, HEIGHT - 80));
  return drawing(
    "g",
    {
      class: "dot", tabindex: 0, role: "img", onpointerenter: tell, onpointerleave: tip.hide, onfocus: tell, onblur: tip.hide,
      "aria-label": `${name}: welfare ${interval(one.welfare)}, payment ${interval(one.payment)}`,
    },
    bar(at.x(one.payment[0]), at.x(one.payment[2]), y, y),
    bar(x, x, at.y(one.welfare[0]), at.y(one.welfare[2])),
    drawing("circle", { class: "reach", cx: x, cy: y, r: 11, fill: "transparent" }),
    mark(kind, colour, { transform: `translate(${x} ${y}) scale(1.15)` }),
  );
}

// All charts of a game

const BANDS =
  "Lines are means over seeds. Bands are 95% intervals (Student's t) from three seeds on; of two seeds the band goes " +
  "from the one to the other. Choose a name to hide or show its line.";
const STARS =
  "Bars are 95% intervals over seeds, from three seeds on. Stars are exact solutions that all agents obey; a name is told " +
  "where the pointer or the focus is.";

function makeCharts(game, curves, frontierPlace) {
  const hidden = new Set();
  const charts = [];
  const redraw = () => charts.forEach((chart) => chart.redraw());
  const panels = game.panels.map((panel, number) => [panel, number]).filter(([, number]) => game.series.some((one) => one.curves[number]));
  if (panels.length) {
    const place = element("div", { class: "panels" });
    curves.append(makeLegend(game.series, hidden, redraw), place, element("p", { class: "about" }, BANDS));
    for (const [panel, number] of panels) {
      const chart = curvePanel(game, panel, number, hidden);
      charts.push(chart);
      place.append(chart.figure);
    }
  } else curves.append(element("p", { class: "about" }, "These agents learned nothing, or nothing of it is kept."));
  if (game.frontier) {
    const chart = frontier(game, hidden);
    charts.push(chart);
    if (!panels.length) frontierPlace.append(makeLegend(game.series, hidden, redraw));
    const far = game.frontier.far.map((one) => `${one.name}, welfare ${interval(one.welfare)} for ${interval(one.payment)}`);
    const beyond = far.length ? `Too far to the right for this picture: ${far.join("; ")}.` : "";
    frontierPlace.append(chart.figure, element("p", { class: "about" }, STARS), element("p", { class: "about" }, beyond));
  } else frontierPlace.append(element("p", { class: "about" }, "No principal pays anything here."));
}

for (const curves of document.querySelectorAll(".curves")) {
  const game = curves.dataset.game;
  makeCharts(DATA.games[game], curves, document.querySelector(`.frontier[data-game="${game}"]`));
}
