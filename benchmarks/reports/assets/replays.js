// Replays: an episode that plays, with what is promised, done and paid in each step beside it.

const SPEEDS = [1, 2, 4, 8, 16];
const HIGHEST = 420; // pixels of a board
const CURVES = ["#0072b2", "#d55e00"];

// The signs of the buttons, drawn since fonts lack some.
const SIGNS = {
  "To the start": "M2 2H4V12H2ZM12 2V12L5 7Z",
  "One step back": "M10 2V12L3 7Z",
  "One step on": "M4 2V12L11 7Z",
  Play: "M3 1V13L13 7Z",
  Pause: "M3 2H6V12H3ZM8 2H11V12H8Z",
};

function sign(title) {
  const path = drawing("path", { d: SIGNS[title], fill: "currentColor" });
  return drawing("svg", { class: "sign", width: 14, height: 14, "aria-hidden": "true" }, path);
}

// The scenes of a replay; `at(t)` is that after `t` steps. Moments say what came to the board and what went.
function scenesOf(replay) {
  const sprites = replay.sprites.map(([kind, row, column, colour, label, facing]) => ({ kind, row, column, colour, label, facing }));
  let [now, shown, board] = [-1, new Set(), null];
  return {
    at(t) {
      if (t < now) [now, shown] = [-1, new Set()];
      while (now < t) {
        const moment = replay.moments[++now];
        for (const gone of moment.gone ?? []) shown.delete(gone);
        for (const come of moment.come ?? []) shown.add(come);
        if ("board" in moment) board = replay.boards[moment.board];
      }
      return { board, sprites: [...shown].sort((one, other) => one - other).map((number) => sprites[number]) };
    },
  };
}

function makePlayer(replay) {
  const scenes = scenesOf(replay);
  const last = replay.moments.length - 1;
  let [now, timer, speed] = [0, null, 4];

  const canvas = element("canvas", { role: "img" });
  const caption = element("p", { class: "caption" });
  const button = (title, press) => element("button", { type: "button", title, "aria-label": title, onclick: press }, sign(title));
  const play = button("Play", () => (timer ? pause() : start()));
  const slider = element("input", { type: "range", min: 0, max: last, value: 0, "aria-label": "Step" });
  const pace = element("select", { "aria-label": "Steps a second" }, ...SPEEDS.map((each) => element("option", { value: each, selected: each === speed }, `${each} a second`)));
  const controls = element(
    "div",
    { class: "steps", role: "group", "aria-label": "Replay" },
    slider,
    button("To the start", () => show(0)),
    button("One step back", () => show(now - 1)),
    play,
    button("One step on", () => show(now + 1)),
    pace,
  );
  const body = element("tbody");
  const head = element("thead", {}, element("tr", {}, ...replay.head.map((name) => element("th", { scope: "col" }, name))));
  const what = `What each agent did, in ${replay.label}`;
  const table = element("table", {}, element("caption", {}, what), head, body);
  const box = element("div", { class: "box", tabindex: 0, role: "region", "aria-label": what }, table);
  const lines = element("ul", { "aria-live": "polite" });
  const totals = element("figure");
  const left = element("div", {}, canvas, controls, caption);
  const player = element("div", { class: "player" }, left, element("div", {}, box, lines, totals));

  function show(t) {
    pause();
    reach(t);
  }

  function reach(t) {
    now = Math.max(0, Math.min(last, t));
    const moment = replay.moments[now];
    slider.value = now;
    slider.setAttribute("aria-valuetext", `step ${now} of ${replay.steps}`);
    caption.textContent = moment.caption;
    canvas.setAttribute("aria-label", `The board after ${now} of ${replay.steps} steps: ${moment.caption}`);
    body.replaceChildren(...moment.rows.map((row, agent) => rowOf(row, agent)));
    lines.replaceChildren(...moment.lines.map((line) => element("li", {}, line)));
    draw();
  }

  function draw() {
    if (left.clientWidth) drawScene(canvas, scenes.at(now), left.clientWidth, HIGHEST);
    if (totals.clientWidth) drawTotals(totals, replay, now);
  }

  function start() {
    if (now === last) reach(0);
    lines.setAttribute("aria-live", "off"); // nobody can listen to every step
    name("Pause");
    timer = setInterval(() => (now < last ? reach(now + 1) : pause()), 1000 / speed);
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    lines.setAttribute("aria-live", "polite");
    name("Play");
  }

  function name(title) {
    play.replaceChildren(sign(title));
    play.title = title;
    play.setAttribute("aria-label", title);
  }

  slider.addEventListener("input", () => show(Number(slider.value)));
  pace.addEventListener("change", () => {
    speed = Number(pace.value);
    if (timer) {
      pause();
      start();
    }
  });
  let width = 0;
  const resized = () => {
    if (player.clientWidth !== width) draw();
    width = player.clientWidth;
  };
  new ResizeObserver(() => requestAnimationFrame(resized)).observe(player);
  reach(0);
  return { player, pause };
}

function rowOf(row, agent) {
  const colour = element("span", { class: "agent", "aria-hidden": "true" });
  colour.style.background = colourOf(agent);
  const [name, ...cells] = row;
  const number = (cell) => (/^[+-]?[\d.]+$|^\u00b7$/.test(cell) ? "number" : "text");
  return element("tr", {}, element("th", { scope: "row" }, colour, name), ...cells.map((cell) => element("td", { class: number(cell) }, cell)));
}

// What the episode came to so far, over its steps.
function drawTotals(figure, replay, now) {
  const series = replay.totals.map(({ name, values }, at) => ({ name, values: [0, ...values], colour: CURVES[at % 2], dash: at ? "--" : "-" }));
  if (replay.steps < 2 || !series.length) return;
  const [width, height, left, bottom] = [figure.clientWidth, 130, 44, 108];
  const all = series.flatMap(({ values }) => values);
  const [low, high] = [Math.min(0, ...all), Math.max(0, ...all) || 1];
  const x = (step) => left + (step / replay.steps) * (width - left - 8);
  const y = (value) => bottom - ((value - low) / (high - low || 1)) * (bottom - 24);
  const svg = drawing("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
  const told = series.map(({ name, values }) => `${name} ${written(values[Math.min(now, values.length - 1)])}`);
  svg.setAttribute("aria-label", `After ${now} steps: ${told.join(", ")}`);
  svg.append(
    drawing("line", { class: "axis", x1: left, x2: width - 8, y1: y(0), y2: y(0) }),
    drawing("text", { x: left - 6, y: y(high) + 4, "text-anchor": "end" }, shortened(high, 0.1)),
    drawing("text", { x: left - 6, y: y(low) + 4, "text-anchor": "end" }, shortened(low, 0.1)),
    drawing("text", { x: width - 8, y: height - 4, "text-anchor": "end" }, `${replay.steps} steps`),
    drawing("line", { class: "cross", x1: x(now), x2: x(now), y1: 20, y2: bottom }),
  );
  let across = left;
  series.forEach(({ values, colour, dash }, at) => {
    const path = values.map((value, step) => `${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
    svg.append(
      drawing("path", { d: `M${path}`, fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": DASHES[dash] }),
      drawing("line", { x1: across, x2: across + 24, y1: 8, y2: 8, stroke: colour, "stroke-width": 2, "stroke-dasharray": DASHES[dash] }),
      drawing("text", { x: across + 30, y: 12 }, told[at]),
    );
    across += 44 + 7 * told[at].length;
  });
  figure.replaceChildren(svg);
}

for (const place of document.querySelectorAll(".replays")) {
  const { replays, missing } = DATA.games[place.dataset.game];
  if (replays.length) {
    const spot = element("div");
    const cut = element("p", { class: "about" });
    let playing = null;
    const choose = (number) => {
      playing?.pause();
      playing = makePlayer(replays[number]);
      const { steps, moments } = replays[number];
      cut.textContent = moments.length <= steps ? `The first ${moments.length - 1} of ${steps} steps are kept here, to keep the file small.` : "";
      spot.replaceChildren(playing.player);
    };
    const options = replays.map(({ label }, number) => element("option", { value: number }, label));
    const select = element("select", { onchange: (event) => choose(Number(event.target.value)) }, ...options);
    place.append(element("p", { class: "pick" }, element("label", {}, "One evaluated episode of ", select)), spot, cut);
    choose(0);
  }
  for (const sentence of missing) place.append(element("p", { class: "about" }, `${sentence}.`));
}
