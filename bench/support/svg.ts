/** Dot plots on a logarithmic axis, as SVG text: nothing but these results goes into them. */

export interface Dot {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Right of the plot. */
  readonly text: string;
  readonly colour: string;
  readonly isHollow: boolean;
}

export interface Panel {
  readonly title: string;
  readonly subtitle: string;
  readonly dots: readonly Dot[];
  /** A line across all dots. */
  readonly mark?: number;
}

export interface Layout {
  readonly columns: number;
  readonly labelWidth: number;
  readonly plotWidth: number;
  readonly textWidth: number;
}

const LINE = 17;
const HEAD = 40;
const AXIS = 22;
const GAP = 24;
const MARGIN = 16;
const INK = '#1f2937';
const FAINT = '#6b7280';
const GRID = '#e5e7eb';

const number = (value: number): string => String(Math.round(value * 10) / 10);

const escaped = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

interface TextStyle {
  readonly size?: number;
  readonly colour?: string;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly isBold?: boolean;
}

function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, colour = INK, anchor = 'start', isBold = false } = style;
  const weight = isBold ? ' font-weight="bold"' : '';
  return `<text x="${number(x)}" y="${number(y)}" font-size="${size}" fill="${colour}" text-anchor="${anchor}"${weight}>${escaped(content)}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, stroke: string, width = 1): string {
  return `<line x1="${number(x1)}" y1="${number(y1)}" x2="${number(x2)}" y2="${number(y2)}" stroke="${stroke}" stroke-width="${width}"/>`;
}

/** Whole powers of ten around all values; nothing at all, or less, is drawn at the left edge. */
function decades({ dots, mark }: Panel): { readonly from: number; readonly to: number } {
  const values = [...dots.flatMap(({ min, max, value }) => [min, max, value]), mark ?? 0];
  const positive = values.filter((value) => value > 0);
  if (positive.length === 0) return { from: -1, to: 0 };
  const from = Math.floor(Math.log10(Math.min(...positive)));
  return { from, to: Math.max(from + 1, Math.ceil(Math.log10(Math.max(...positive)))) };
}

function tick(exponent: number): string {
  if (exponent >= 6) return `${10 ** (exponent - 6)} M`;
  if (exponent >= 3) return `${10 ** (exponent - 3)} k`;
  return exponent >= 0 ? String(10 ** exponent) : (10 ** exponent).toFixed(-exponent);
}

const heightOf = (panel: Panel): number => HEAD + panel.dots.length * LINE + AXIS;

function drawPanel(panel: Panel, left: number, top: number, layout: Layout): string[] {
  const { from, to } = decades(panel);
  const begin = left + layout.labelWidth;
  const at = (value: number): number => {
    const exponent = value > 0 ? Math.max(from, Math.log10(value)) : from;
    return begin + ((exponent - from) / (to - from)) * layout.plotWidth;
  };
  const first = top + HEAD;
  const bottom = first + panel.dots.length * LINE;
  const parts = [
    text(left, top + 14, panel.title, { size: 13, isBold: true }),
    text(left, top + 29, panel.subtitle, { size: 11, colour: FAINT }),
  ];
  for (let exponent = from; exponent <= to; exponent += 1) {
    const x = at(10 ** exponent);
    parts.push(line(x, first, x, bottom, GRID));
    const style = { size: 10, colour: FAINT, anchor: 'middle' } as const;
    parts.push(text(x, bottom + 13, tick(exponent), style));
  }
  if (panel.mark !== undefined) {
    parts.push(line(at(panel.mark), first - 2, at(panel.mark), bottom + 2, INK, 1.5));
  }
  for (const [i, dot] of panel.dots.entries()) {
    const y = first + i * LINE + LINE / 2;
    const fill = dot.isHollow ? '#ffffff' : dot.colour;
    parts.push(
      text(begin - 10, y + 4, dot.label, { anchor: 'end' }),
      line(at(dot.min), y, at(dot.max), y, dot.colour, 2),
      `<circle cx="${number(at(dot.value))}" cy="${number(y)}" r="4" fill="${fill}" stroke="${dot.colour}" stroke-width="1.5"/>`,
      text(begin + layout.plotWidth + 10, y + 4, dot.text),
    );
  }
  return parts;
}

export function drawing(panels: readonly Panel[], layout: Layout, note: string): string {
  const panelWidth = layout.labelWidth + layout.plotWidth + layout.textWidth;
  const columns = Math.min(layout.columns, Math.max(1, panels.length));
  const width = 2 * MARGIN + columns * panelWidth + (columns - 1) * GAP;
  const parts: string[] = [];
  let top = MARGIN;
  for (let i = 0; i < panels.length; i += columns) {
    const inLine = panels.slice(i, i + columns);
    for (const [column, panel] of inLine.entries()) {
      parts.push(...drawPanel(panel, MARGIN + column * (panelWidth + GAP), top, layout));
    }
    top += Math.max(...inLine.map(heightOf)) + GAP;
  }
  parts.push(text(MARGIN, top, note, { size: 11, colour: FAINT }));
  const height = top + MARGIN;
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}
