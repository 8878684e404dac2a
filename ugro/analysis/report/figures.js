// Draws the figures, one after the other; a trial under the pointer is described.
"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const { columns, described, best } = document.getElementById("trials")
  ? read("trials") : { columns: [{ values: [] }], described: [], best: {} };
const theme = read("theme");

// Values

// Four digits; measurements keep trailing zeros, so that columns align.
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

// The description of a trial under the pointer

const rowOf = new Map(columns[0].values.map((number, row) => [number, row]));
const describedColumns = described.map((name) => columns.find((column) => column.name === name));
const escaped = (text) => String(text).replace(/[&<>$]/g, (one) => `&#${one.charCodeAt(0)};`);
const descriptions = new Map();

function describe(number) {
  if (!descriptions.has(number)) {
    const row = rowOf.get(number);
    const [ending, ...rest] = row === undefined ? [] : describedColumns;
    const lines = rest
      .filter((column) => column.values[row] !== null)
      .map((column) => `${escaped(column.name)} = ${escaped(textAt(column, row))}`);
    const how = ending ? `, ${escaped(textAt(ending, row))}` : "";
    descriptions.set(number, [`<b>trial ${number}</b>${how}`, ...lines].join("<br>"));
  }
  return descriptions.get(number);
}

// Figures

const darkPage = matchMedia("(prefers-color-scheme: dark)");
const coarse = matchMedia("(pointer: coarse)").matches;
const lightColour = new RegExp(`"(${Object.keys(theme.dark).join("|")})"`, "g");

function coloured(text, dark) {
  return dark ? text.replace(lightColour, (_, colour) => `"${theme.dark[colour]}"`) : text;
}

function dress(figure, plot, dark) {
  figure.layout.template = JSON.parse(coloured(JSON.stringify(theme.template), dark));
  if (coarse) figure.layout.dragmode = false; // touch scrolls the page
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

const textOf = (plot) => plot.closest("figure").querySelector(".plotted").textContent;

function draw(plot, dark) {
  const figure = JSON.parse(coloured(textOf(plot), dark));
  dress(figure, plot, dark);
  const downloads = [
    { name: "Download as PNG", icon: Plotly.Icons.camera, click: () => download(plot, "png") },
    { name: "Download as SVG", icon: Plotly.Icons.disk, click: () => download(plot, "svg") },
  ];
  const zoom = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"];
  const settings = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    displayModeBar: "hover",
    modeBarButtons: coarse || plot.clientWidth < 700 ? [downloads] : [downloads, zoom],
  };
  Plotly.react(plot, figure.data, figure.layout, settings);
  if (figure.data.at(-1)?.meta === "highlight" && !plot.dataset.listens) {
    plot.dataset.listens = "yes";
    plot.on("plotly_hover", (event) => highlight(plot, event.points[0].customdata));
    plot.on("plotly_unhover", () => highlight(plot, null));
  }
}

const HEAD = 44; // pixels for the title of a saved figure

// Saves a figure with its finding as the title, in the colours of a light page.
function download(plot, format) {
  const { data, layout } = JSON.parse(textOf(plot));
  const caption = plot.closest("figure").querySelector("figcaption")?.firstChild.textContent;
  const text = caption ?? plot.closest("section").querySelector(".finding, h2").textContent;
  layout.template = theme.template;
  layout.paper_bgcolor = "#ffffff";
  layout.margin = { ...layout.margin, t: (layout.margin?.t ?? 12) + HEAD };
  layout.title = { text: `<b>${escaped(text)}</b>`, x: 0, xref: "container", xanchor: "left",
    y: 1, yref: "container", yanchor: "top", pad: { t: 12, l: 12 }, font: { size: 17 } };
  const filename = `${document.title}-${plot.dataset.name}`.replace(/[^\w.-]+/g, "_");
  const size = { width: plot.clientWidth, height: plot.clientHeight + HEAD };
  Object.assign(layout, size);
  Plotly.downloadImage({ data, layout },
    { format, filename, scale: format === "png" ? 2 : 1, ...size });
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

setTimeout(() => drawAll(darkPage.matches));
