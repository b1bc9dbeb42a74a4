// Plots as SVG: lines over a logarithmic x axis from zero on a linear y axis, a line a system.

export interface Line {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
}

const width = 560;
const height = 320;
const left = 70;
const right = 20;
const top = 40;
const bottom = 50;
const colours = ["#2563eb", "#d97706", "#059669"];

export function plotSvg({ title, x, y, lines }: Plot): string {
  const all = lines.flatMap(({ points }) => points);
  const xs = [...new Set(all.map((point) => point.x))].sort((a, b) => a - b);
  const lowest = Math.log(xs[0] ?? 1);
  const span = Math.log(xs.at(-1) ?? 1) - lowest || 1;
  const most = niceAbove(Math.max(...all.map((point) => point.y), 1));
  const atX = (value: number): number =>
    left + ((Math.log(value) - lowest) / span) * (width - left - right);
  const atY = (value: number): number => height - bottom - (value / most) * (height - top - bottom);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
      'font-family="sans-serif" font-size="12">',
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(width / 2, 22, title, "middle", 15),
    text((left + width - right) / 2, height - 10, x, "middle"),
    `<g transform="rotate(-90 16 ${(top + height - bottom) / 2})">` +
      `${text(16, (top + height - bottom) / 2, y, "middle")}</g>`,
  ];
  for (let i = 0; i <= 4; i++) {
    const value = (most * i) / 4;
    const at = round(atY(value));
    parts.push(
      `<line x1="${left}" x2="${width - right}" y1="${at}" y2="${at}" stroke="#e5e7eb"/>`,
      text(left - 8, at + 4, value.toLocaleString("en"), "end"),
    );
  }
  for (const value of xs) {
    parts.push(text(atX(value), height - bottom + 18, value.toLocaleString("en"), "middle"));
  }
  lines.forEach(({ name, points }, i) => {
    const colour = colours[i % colours.length] ?? "#000000";
    const sorted = [...points].sort((a, b) => a.x - b.x);
    const path = sorted.map((point) => `${round(atX(point.x))},${round(atY(point.y))}`).join(" ");
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const point of sorted) {
      const [cx, cy] = [round(atX(point.x)), round(atY(point.y))];
      parts.push(`<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`);
    }
    const legend = top + 4 + i * 16;
    parts.push(
      `<rect x="${left + 10}" y="${legend}" width="12" height="4" fill="${colour}"/>`,
      text(left + 28, legend + 7, name, "start"),
    );
  });
  parts.push("</svg>");
  return `${parts.join("\n")}\n`;
}

function text(x: number, y: number, words: string, anchor: string, size = 12): string {
  const escaped = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const place = `x="${round(x)}" y="${round(y)}"`;
  return `<text ${place} text-anchor="${anchor}" font-size="${size}" fill="#111827">${escaped}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** A round number not below `value`, which divides by four well. */
function niceAbove(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * ([1, 2, 4, 8, 10].find((factor) => factor * unit >= value) ?? 10);
}
