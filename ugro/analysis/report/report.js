// Draws the figures, one after the other, and the table of trials; copies what is to be pasted.
"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const { columns, said, best } = read("trials");
const look = read("look");

// Values

// Four digits: all of them of what was measured, so that a column can be read down.
function shown(value, measured) {
  if (value === null) return "";
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-4) return value.toExponential(3).replace(/\.?0*e\+?/, "e");
  if (size >= 1e3) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  return measured ? value.toPrecision(4) : String(Number(value.toPrecision(4)));
}

const valueAt = (column, row) =>
  column.words && column.values[row] !== null ? column.words[column.values[row]] : column.values[row];
const textAt = (column, row) => {
  const value = valueAt(column, row);
  return column.words ? (value ?? "") : shown(value, column.measured);
};

// What is said of a trial at which one points

const rowOf = new Map(columns[0].values.map((number, row) => [number, row]));
const saidColumns = said.map((name) => columns.find((column) => column.name === name));
const escaped = (text) => String(text).replace(/[&<>$]/g, (one) => `&#${one.charCodeAt(0)};`);
const told = new Map();

function describe(number) {
  if (!told.has(number)) {
    const row = rowOf.get(number);
    const [ending, ...rest] = row === undefined ? [] : saidColumns;
    const lines = rest
      .filter((column) => column.values[row] !== null)
      .map((column) => `${escaped(column.name)} = ${escaped(textAt(column, row))}`);
    const how = ending ? `, ${escaped(textAt(ending, row))}` : "";
    told.set(number, [`<b>trial ${number}</b>${how}`, ...lines].join("<br>"));
  }
  return told.get(number);
}

// Figures

const darkPage = matchMedia("(prefers-color-scheme: dark)");
const coarse = matchMedia("(pointer: coarse)").matches;
const lightColour = new RegExp(`"(${Object.keys(look.dark).join("|")})"`, "g");

function coloured(text, dark) {
  return dark ? text.replace(lightColour, (_, colour) => `"${look.dark[colour]}"`) : text;
}

function dress(figure, plot, dark) {
  figure.layout.template = JSON.parse(coloured(JSON.stringify(look.template), dark));
  if (coarse) figure.layout.dragmode = false; // a finger scrolls the page
  if (plot.clientWidth < 560) {
    figure.layout.font = { size: 11 };
    const bar = figure.layout.coloraxis?.colorbar;
    if (bar) Object.assign(bar, { orientation: "h", y: -0.22, yanchor: "top", thickness: 10 });
    if (bar) bar.title.side = "bottom";
    if (bar?.tickvals?.length > 6) {
      const every = (list) => list.filter((_, at) => at % 3 === 0);
      Object.assign(bar, { tickvals: every(bar.tickvals), ticktext: every(bar.ticktext) });
    }
  }
  for (const trace of figure.data) {
    if (!trace.customdata) continue;
    trace.hovertext = trace.customdata.map((number) => (number === null ? "" : describe(number)));
    trace.hovertemplate ??= "%{hovertext}<extra></extra>";
  }
}

function draw(plot, dark) {
  const text = plot.closest("figure").querySelector(".plotted").textContent;
  const figure = JSON.parse(coloured(text, dark));
  dress(figure, plot, dark);
  const settings = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    displayModeBar: coarse || plot.closest(".small") ? false : "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  Plotly.react(plot, figure.data, figure.layout, settings);
  if (figure.data.at(-1)?.meta === "highlight" && !plot.dataset.listens) {
    plot.dataset.listens = "yes";
    plot.on("plotly_hover", (event) => highlight(plot, event.points[0].customdata));
    plot.on("plotly_unhover", () => highlight(plot, null));
  }
}

// Draws one trial's line again, over the others.
function highlight(plot, number) {
  const x = [], y = [];
  if (number !== null && number !== undefined) {
    for (const trace of plot.data) {
      if (trace.mode === "markers" || !trace.customdata) continue;
      trace.customdata.forEach((one, at) => {
        if (one === number) { x.push(trace.x[at]); y.push(trace.y[at]); }
      });
    }
  }
  Plotly.restyle(plot, { x: [x], y: [y] }, [plot.data.length - 1]);
}

const plots = [...document.querySelectorAll(".plot")];

async function drawAll(dark) {
  for (const plot of plots) {
    draw(plot, dark);
    await new Promise((resolve) => setTimeout(resolve)); // the page stays awake in between
  }
  document.body.dataset.drawn = String(plots.length);
}

darkPage.addEventListener("change", () => drawAll(darkPage.matches));
addEventListener("beforeprint", () => {
  for (const plot of plots) {
    if (darkPage.matches) draw(plot, false);
    Plotly.relayout(plot, { width: plot.closest(".panels") ? 330 : 690 });
  }
});
addEventListener("afterprint", () => {
  for (const plot of plots) Plotly.relayout(plot, { width: null, autosize: true });
  if (darkPage.matches) drawAll(true);
});

// The table

const ROWS = 50;
const table = document.getElementById("trials-table");
const filter = document.getElementById("filter");
const every = columns[0].values.map((_, row) => row);
const CONDITION = /^(.+?)(>=|<=|!=|>|<|=)(.+)$/;
const COMPARE = {
  ">=": (a, b) => a >= b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, "<": (a, b) => a < b,
  "=": (a, b) => a === b, "!=": (a, b) => a !== b,
};
let sorted = { column: columns.find((one) => one.name === said[1]), down: best.maximised };
let page = 0;

function columnNamed(name) {
  return columns.find((one) => one.name === name)
    ?? columns.find((one) => one.name.split(".").at(-1) === name);
}

function test(word) {
  const [, name, sign, wanted] = CONDITION.exec(word) ?? [];
  const column = name && columnNamed(name);
  if (column) {
    const number = Number(wanted);
    const given = column.words || Number.isNaN(number) ? wanted : number;
    return (row) => column.values[row] !== null && COMPARE[sign](valueAt(column, row), given);
  }
  const lower = word.toLowerCase();
  return (row) => columns.some((one) => textAt(one, row).toLowerCase().includes(lower));
}

function compare(a, b) {
  const [one, other] = [valueAt(sorted.column, a), valueAt(sorted.column, b)];
  if (one === other) return a - b;
  if (one === null) return 1; // without a value: last, whichever way
  if (other === null) return -1;
  return (one < other ? -1 : 1) * (sorted.down ? -1 : 1);
}

function fill() {
  const tests = filter.value.split(/\s+/).filter(Boolean).map(test);
  const rows = every.filter((row) => tests.every((holds) => holds(row))).sort(compare);
  const pages = Math.max(1, Math.ceil(rows.length / ROWS));
  page = Math.min(page, pages - 1);
  const body = document.createElement("tbody");
  for (const row of rows.slice(page * ROWS, (page + 1) * ROWS)) {
    const line = body.insertRow();
    if (columns[0].values[row] === best.number) line.className = "best";
    for (const column of columns) {
      const cell = line.insertCell();
      cell.textContent = textAt(column, row);
      if (column.words) { cell.className = "text"; cell.title = cell.textContent; }
    }
  }
  table.tBodies[0].replaceWith(body);
  for (const heading of table.tHead.rows[0].cells) {
    const own = columns[heading.cellIndex] === sorted.column;
    heading.setAttribute("aria-sort", own ? (sorted.down ? "descending" : "ascending") : "none");
    heading.querySelector("span").textContent = own ? (sorted.down ? " \u25be" : " \u25b4") : "";
  }
  const count = (many) => many.toLocaleString("en-US");
  document.getElementById("found").textContent = rows.length === every.length
    ? `${count(every.length)} trial${every.length === 1 ? "" : "s"}`
    : `${count(rows.length)} of ${count(every.length)} trials`;
  document.getElementById("page").textContent = `page ${page + 1} of ${pages}`;
  document.getElementById("earlier").disabled = page === 0;
  document.getElementById("later").disabled = page === pages - 1;
}

function head() {
  const line = table.tHead.insertRow();
  for (const column of columns) {
    const heading = document.createElement("th");
    heading.scope = "col";
    heading.tabIndex = 0;
    heading.textContent = column.name.replace(/[._]/g, "$&\u200b"); // may break here
    heading.className = column.words ? "text" : "";
    heading.append(document.createElement("span"));
    const sort = () => {
      sorted = { column, down: sorted.column === column ? !sorted.down : false };
      page = 0;
      fill();
    };
    heading.addEventListener("click", sort);
    heading.addEventListener("keydown", (event) => event.key === "Enter" && sort());
    line.append(heading);
  }
}

filter.addEventListener("input", () => { page = 0; fill(); });
document.getElementById("earlier").addEventListener("click", () => { page -= 1; fill(); });
document.getElementById("later").addEventListener("click", () => { page += 1; fill(); });

// Copying

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a page from a file may not, in some browsers
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

for (const button of document.querySelectorAll(".copy")) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await copy(button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

head();
fill();
drawAll(darkPage.matches);
