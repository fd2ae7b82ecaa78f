// The board of a scene on a canvas: a map of tiles, the choices of agents, a table of payoffs, or a tree.
// It draws what `render/layouts.py` and `render/sprites.py` draw, from the same scenes and in the same colours.

const COLOURS = DATA.colours;
const [PAPER, INK, FADED, GOLD] = ["#ffffff", "#262a32", "#c4c5c8", "#f0c448"];
const STEPS = [[0, -1], [1, 0], [0, 1], [-1, 0]]; // x, y of the facings up, right, down, left
const DIRECTIONS = { up: 0, right: 1, down: 2, left: 3 };
const GLYPHS = { stay: "\u2022", turn_clockwise: "\u21bb", turn_counterclockwise: "\u21ba" };
const FLAT = ["beam-clean", "beam-fire", "waste", "apple"]; // what lies flat, from below to above

function colourOf(agent) {
  return agent < 0 ? "#8c8c8c" : COLOURS.agents[agent % COLOURS.agents.length];
}

function darker(colour) {
  return `#${[1, 3, 5].map((at) => Math.round(parseInt(colour.slice(at, at + 2), 16) * 0.62).toString(16).padStart(2, "0")).join("")}`;
}

// Ink or paper, whichever is easier to read on a colour.
function against(colour) {
  const parts = [1, 3, 5].map((at) => (parseInt(colour.slice(at, at + 2), 16) / 255) ** 2.2);
  return Math.sqrt(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]) > 0.55 ? INK : PAPER;
}

// Shapes. Each is drawn in a square of side 1 around 0, 0.

function disc(pen, x, y, radius, colour) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = colour;
  pen.fill();
}

function outline(pen, points, colour) {
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  pen.closePath();
  pen.fillStyle = colour;
  pen.fill();
}

function stroke(pen, points, colour, width) {
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.stroke();
}

function rounded(pen, x, y, width, height, radius, colour) {
  pen.beginPath();
  pen.roundRect(x, y, width, height, radius);
  pen.fillStyle = colour;
  pen.fill();
}

function letters(pen, text, x, y, size, colour, { bold = true, align = "center" } = {}) {
  pen.font = `${bold ? "bold " : ""}${size}px system-ui, "DejaVu Sans", sans-serif`;
  pen.textAlign = align;
  pen.textBaseline = "middle";
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

function eye(pen, x, y, dx, dy) {
  disc(pen, x, y, 0.085, PAPER);
  disc(pen, x + dx, y + dy, 0.045, INK);
}

const SHAPES = {
  agent(pen, { colour, label, facing }) {
    const own = colourOf(colour);
    if (facing < 0) {
      for (const [inset, shade] of [[0.17, PAPER], [0.19, darker(own)], [0.215, own]]) {
        rounded(pen, inset - 0.5, inset - 0.5, 1 - 2 * inset, 1 - 2 * inset, 0.2, shade);
      }
      for (const side of [-1, 1]) eye(pen, side * 0.13, label ? -0.14 : -0.06, 0, 0.03);
      if (label) letters(pen, label, 0, 0.14, 0.32, against(own));
      return;
    }
    const [dx, dy] = STEPS[facing];
    const at = (ahead, aside) => [ahead * dx - aside * dy, ahead * dy + aside * dx];
    for (const [wide, shade] of [[0.05, PAPER], [0.025, darker(own)], [0, own]]) {
      outline(pen, [at(0.43 + 1.4 * wide, 0), at(0.22, 0.2 + wide), at(0.22, -0.2 - wide)], shade);
      disc(pen, ...at(-0.04, 0), 0.31 + wide, shade);
    }
    if (label) letters(pen, label, ...at(-0.04, 0), 0.4, against(own));
    else for (const side of [-1, 1]) eye(pen, ...at(0.08, side * 0.12), 0.03 * dx, 0.03 * dy);
  },
  coin(pen, { colour, label }) {
    const own = colourOf(colour);
    disc(pen, 0, 0, 0.3, darker(GOLD));
    disc(pen, 0, 0, 0.28, GOLD);
    disc(pen, 0, 0, 0.2, own);
    if (label) letters(pen, label, 0, 0, 0.26, against(own));
  },
  apple(pen) {
    for (const [shade, more] of [["#801218", 0.025], ["#d4282c", 0]]) {
      for (const side of [-1, 1]) disc(pen, side * 0.085, 0.06, 0.185 + more, shade);
    }
    stroke(pen, [[0, -0.1], [0.03, -0.26]], "#603e20", 0.05);
    pen.beginPath();
    pen.ellipse(0.13, -0.245, 0.1, 0.055, 0, 0, 2 * Math.PI);
    pen.fillStyle = "#428c3c";
    pen.fill();
  },
  waste(pen) {
    for (const [shade, more] of [["#4e3a22", 0.02], ["#7c6238", 0]]) {
      for (const [x, y, radius] of [[-0.2, -0.16, 0.2], [0.16, -0.2, 0.19], [0, 0.06, 0.26], [-0.22, 0.18, 0.17], [0.22, 0.18, 0.2]]) {
        disc(pen, x, y, radius + more, shade);
      }
    }
  },
  "beam-fire"(pen) {
    pen.fillStyle = "rgb(255 128 32 / 47%)";
    pen.fillRect(-0.5, -0.5, 1, 1);
    outline(pen, [[0, -0.3], [0.3, 0], [0, 0.3], [-0.3, 0]], "#eb4614");
    outline(pen, [[0, -0.15], [0.15, 0], [0, 0.15], [-0.15, 0]], "#ffd660");
  },
  "beam-clean"(pen) {
    pen.fillStyle = "rgb(150 240 250 / 51%)";
    pen.fillRect(-0.5, -0.5, 1, 1);
    for (const [x, y, radius] of [[-0.22, -0.2, 0.13], [0.2, -0.08, 0.17], [-0.12, 0.24, 0.15]]) {
      disc(pen, x, y, radius, "#007a96");
      disc(pen, x, y, radius - 0.04, "#ecfeff");
    }
  },
  lever(pen, { label }) {
    const end = label === "on" ? [0.3, -0.1] : [-0.2, -0.3];
    stroke(pen, [[0, 0.22], end], INK, 0.09);
    disc(pen, ...end, 0.12, "#c83c30");
    rounded(pen, -0.3, 0.2, 0.6, 0.2, 0.06, "#6e727c");
  },
  door(pen, { label }) {
    const open = label === "open";
    rounded(pen, -0.24, -0.4, 0.48, 0.8, 0, open ? "#ffeca0" : "#b07a42");
    if (open) outline(pen, [[-0.24, -0.4], [-0.08, -0.3], [-0.08, 0.5], [-0.24, 0.4]], "#b07a42");
    else disc(pen, 0.15, 0.02, 0.045, GOLD);
    pen.strokeStyle = "#704a24";
    pen.lineWidth = 0.045;
    pen.strokeRect(-0.24, -0.4, 0.48, 0.8);
  },
  arrow(pen, { colour, facing }) {
    const [dx, dy] = STEPS[facing];
    const head = (grown) => {
      const ends = [[0.36 + grown, 0], [-0.3, 0.42 + grown], [-0.4 - grown * 0.6, 0.27 + grown], [-0.02 - grown, 0], [-0.4 - grown * 0.6, -0.27 - grown], [-0.3, -0.42 - grown]];
      return ends.map(([a, b]) => [a * dx - b * dy, a * dy + b * dx]);
    };
    outline(pen, head(0.1), PAPER);
    outline(pen, head(0), colourOf(colour));
  },
  mark(pen, { colour, label }) {
    disc(pen, 0, 0, 0.48, colourOf(colour));
    disc(pen, 0, 0, 0.38, PAPER);
    letters(pen, GLYPHS[label] ?? label.slice(0, 1).toUpperCase(), 0, 0.03, 0.6, INK);
  },
  ring(pen, { colour }) {
    pen.beginPath();
    pen.arc(0, 0, 0.44, 0, 2 * Math.PI);
    pen.lineWidth = 0.1;
    pen.strokeStyle = PAPER;
    pen.stroke();
    pen.lineWidth = 0.06;
    pen.strokeStyle = colourOf(colour);
    pen.stroke();
  },
};

// Draw a shape of so many pixels around x, y; what an unknown kind is, its label says.
function lay(pen, sprite, size, x, y) {
  pen.save();
  pen.translate(x, y);
  pen.scale(size, size);
  if (Object.hasOwn(SHAPES, sprite.kind)) SHAPES[sprite.kind](pen, sprite);
  pen.restore();
}

// Boards. Each says how large it is, in units of its own, and draws itself.

function mapBoard({ board, sprites }) {
  const draw = (pen) => {
    board.ground.forEach((line, row) => [...line].forEach((character, column) => drawTile(pen, character, row, column)));
    for (const kind of FLAT) {
      for (const one of sprites) if (one.kind === kind) lay(pen, one, 1, one.column + 0.5, one.row + 0.5);
    }
    const crowded = sprites.filter((one) => one.kind === "agent").length > 2;
    for (const [one, x, y, size] of sideBySide(sprites)) {
      lay(pen, { ...one, label: crowded && !one.label ? String(one.colour) : one.label }, size, x, y);
    }
    drawAdvice(pen, sprites);
  };
  return { width: board.columns, height: board.rows, draw };
}

function drawTile(pen, character, row, column) {
  const colour = Object.hasOwn(COLOURS.tiles, character) ? COLOURS.tiles[character] : COLOURS.floor;
  pen.fillStyle = colour;
  pen.fillRect(column, row, 1.01, 1.01);
  if (colour === COLOURS.wall) {
    for (const [x, y] of [[0.75, 0], [0.25, 0.5]]) {
      stroke(pen, [[column, row + y], [column + 1, row + y]], darker(colour), 0.03);
      stroke(pen, [[column + x, row + y], [column + x, row + y + 0.5]], darker(colour), 0.03);
    }
    return;
  }
  if (colour === COLOURS.river || colour === COLOURS.stream) {
    for (const high of [0.3, 0.7]) {
      const wave = [...Array(11).keys()].map((k) => [column + 0.2 + 0.06 * k, row + high + 0.05 * Math.sin(k * 0.9)]);
      stroke(pen, wave, "rgb(255 255 255 / 60%)", 0.03);
    }
  }
  stroke(pen, [[column, row + 1], [column, row], [column + 1, row]], "rgb(0 0 0 / 8%)", 0.03);
}

// What stands in the cells, with its centre and size: as large as the cell, or smaller where several share one.
function sideBySide(sprites) {
  const cells = new Map();
  for (const one of sprites) {
    if (one.kind !== "coin" && one.kind !== "agent") continue;
    const place = `${one.row},${one.column}`;
    cells.set(place, [...(cells.get(place) ?? []), one]);
  }
  const spread = (at, count, margin) => (count === 1 ? 0.5 : margin + (at * (1 - 2 * margin)) / (count - 1));
  return [...cells.values()].flatMap((shared) => {
    const [count, side] = [shared.length, Math.ceil(Math.sqrt(shared.length))];
    const size = count === 1 ? 1 : count === 2 ? 0.62 : 1.08 / side;
    const margin = 0.5 * size * (count > 1 ? 0.9 : 1);
    return shared.map((one, at) => {
      const [down, across] = count === 2 ? [at, at] : [Math.floor(at / side), at % side];
      const lines = count === 2 ? side : Math.ceil(count / side);
      return [one, one.column + spread(across, side, margin), one.row + spread(down, lines, margin), size];
    });
  });
}

// Moves are arrowheads at the edge to which they lead; other actions, and all of agents with a front, are signs.
function drawAdvice(pen, sprites) {
  const beside = new Map();
  for (const one of sprites.filter(({ kind }) => kind === "arrow")) {
    const heading = one.label in DIRECTIONS ? (DIRECTIONS[one.label] + Math.max(one.facing, 0)) % 4 : -1;
    const edge = one.facing < 0 ? heading : -1;
    const place = `${one.row},${one.column},${edge}`;
    const count = beside.get(place) ?? 0;
    beside.set(place, count + 1);
    const along = Math.floor((count + 1) / 2) * (-1) ** count;
    const [x, y] = [one.column + 0.5, one.row + 0.5];
    if (edge < 0) {
      const label = heading >= 0 ? "\u2191\u2192\u2193\u2190"[heading] : one.label;
      lay(pen, { ...one, kind: "mark", label: GLYPHS[label] ?? label }, 0.32, x + 0.32 + 0.34 * along, y + 0.32);
    } else {
      const [dx, dy] = STEPS[heading];
      lay(pen, { ...one, facing: heading }, 0.28, x + 0.37 * dx - 0.3 * along * dy, y + 0.37 * dy + 0.3 * along * dx);
    }
  }
}

// A row for each agent, a column for each place it can choose.
function choicesBoard({ board, sprites }) {
  const [wide, cell] = [2, 1];
  const icons = sprites.filter((one) => one.row < 0);
  const top = 0.6 + (icons.length ? 1.1 : 0);
  const draw = (pen) => {
    pen.fillStyle = COLOURS.floor;
    pen.fillRect(0, 0, board.columns * wide, top + board.rows * cell + 0.2);
    board.choices.forEach((name, column) => letters(pen, name.replaceAll("_", " "), (column + 0.5) * wide, top - 0.25, 0.26, INK));
    for (const icon of icons) lay(pen, icon, 1.05, (icon.column + 0.5) * wide, 0.6);
    for (let row = 0; row < board.rows; row++) {
      const y = top + (row + 0.5) * cell;
      stroke(pen, [[0.5 * wide, y], [(board.columns - 0.5) * wide, y]], FADED, 0.04);
      for (let column = 0; column < board.columns; column++) disc(pen, (column + 0.5) * wide, y, 0.08, FADED);
    }
    const crowded = sprites.filter((one) => one.kind === "agent").length > 2;
    for (const one of sprites) {
      const label = crowded && !one.label ? String(one.colour) : one.label;
      if (one.kind === "agent") lay(pen, { ...one, label }, cell, (one.column + 0.5) * wide, top + (one.row + 0.5) * cell);
    }
    for (const one of sprites) {
      const choice = board.choices.indexOf(one.label);
      if (one.kind === "arrow" && choice >= 0) lay(pen, { ...one, kind: "ring" }, cell, (choice + 0.5) * wide, top + (one.row + 0.5) * cell);
    }
  };
  return { width: board.columns * wide, height: top + board.rows * cell + 0.2, draw };
}

// What two agents earn: the first's choices down, the second's across.
function payoffsBoard({ board, sprites }) {
  const [wide, left, top] = [1.5, 1.9, 1.1];
  const corner = (row, column) => [left + column * wide, top + row];
  const draw = (pen) => {
    pen.fillStyle = COLOURS.floor;
    pen.fillRect(0, 0, left + board.columns * wide + 0.2, top + board.rows + 0.2);
    for (let row = 0; row < board.rows; row++) {
      for (let column = 0; column < board.columns; column++) {
        const played = sprites.some((one) => one.kind === "played" && one.row === row && one.column === column);
        const [x, y] = corner(row, column);
        pen.fillStyle = played ? "#ffeeb0" : PAPER;
        pen.fillRect(x, y, wide, 1);
        pen.strokeStyle = played ? INK : FADED;
        pen.lineWidth = played ? 0.04 : 0.015;
        pen.strokeRect(x, y, wide, 1);
        stroke(pen, [[x, y], [x + wide, y + 1]], "#e2e0d8", 0.015);
      }
    }
    for (const one of sprites) {
      const [x, y] = corner(one.row, one.column);
      const [across, down] = one.colour === 0 ? [0.28, 0.72] : [0.72, 0.28];
      if (one.kind === "payoff") letters(pen, one.label, x + across * wide, y + down, 0.26, colourOf(one.colour));
    }
    board.choices.forEach((name, at) => {
      letters(pen, name.replaceAll("_", " "), left + (at + 0.5) * wide, top - 0.2, 0.19, colourOf(1));
      letters(pen, name.replaceAll("_", " "), left - 0.12, top + at + 0.5, 0.19, colourOf(0), { align: "right" });
    });
    for (const one of sprites.filter(({ kind }) => kind === "agent" || kind === "arrow")) {
      const choice = one.kind === "arrow" ? board.choices.indexOf(one.label) : -1;
      const own = choice >= 0 ? choice : one.colour === 0 ? one.row : one.column;
      const [x, y] = one.colour === 0 ? [0.32, top + own + 0.5] : [left + (own + 0.5) * wide, 0.42];
      lay(pen, { ...one, kind: one.kind === "arrow" ? "ring" : "agent" }, one.kind === "arrow" ? 0.64 : 0.56, x, y);
    }
  };
  return { width: left + board.columns * wide + 0.2, height: top + board.rows + 0.2, draw };
}

// Each level is a row, the further right the more often it went right.
function treeBoard({ board, sprites }) {
  const wide = 0.72;
  const at = (row, column) => [(column + 0.5) * wide, row + 0.5];
  const nodes = new Set(board.ground.flatMap((line, row) => [...line].flatMap((character, column) => (character === "@" ? [] : [`${row},${column}`]))));
  const draw = (pen) => {
    pen.fillStyle = COLOURS.floor;
    pen.fillRect(0, 0, board.columns * wide, board.rows);
    const places = [...nodes].map((node) => node.split(",").map(Number));
    for (const [row, column] of places) {
      for (const child of [column - 1, column + 1]) {
        if (nodes.has(`${row + 1},${child}`)) stroke(pen, [at(row, column), at(row + 1, child)], FADED, 0.03);
      }
    }
    for (const [row, column] of places) {
      disc(pen, ...at(row, column), 0.13, FADED);
      disc(pen, ...at(row, column), 0.09, PAPER);
    }
    const way = sprites.filter(({ kind }) => kind === "way").sort((one, other) => one.row - other.row);
    stroke(pen, way.map((one) => at(one.row, one.column)), colourOf(0), 0.13);
    for (const one of way) disc(pen, ...at(one.row, one.column), 0.15, colourOf(0));
    for (const one of sprites) {
      const [x, y] = at(one.row, one.column);
      if (one.kind === "agent") lay(pen, one, 1, x, y);
      const side = { left: -1, right: 1 }[one.label] ?? 0;
      if (one.kind === "arrow") lay(pen, { ...one, kind: "ring" }, 0.5, x + side * wide, y + 1);
    }
  };
  return { width: board.columns * wide, height: board.rows, draw };
}

const BOARDS = { map: mapBoard, choices: choicesBoard, payoffs: payoffsBoard, tree: treeBoard };

// Draw a scene on a canvas, as wide as its place allows and no higher than `highest` pixels.
function drawScene(canvas, scene, widest, highest) {
  const board = BOARDS[scene.board.kind](scene);
  const scale = Math.min(widest / board.width, highest / board.height, 108);
  const sharp = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(board.width * scale), Math.round(board.height * scale)];
  if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
    [canvas.width, canvas.height] = [Math.round(width * sharp), Math.round(height * sharp)];
    canvas.style.width = `${width}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale * sharp, 0, 0, scale * sharp, 0, 0);
  board.draw(pen);
}
