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
let sorted = { column: columns.find((one) => one.name === described[1]), down: best.maximised };
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
