import uPlot from "uplot";
import { tick } from "../text/times";
import { painted } from "./colours.svelte";
import { lonely, type Line, type Mark, type Plot } from "./plot";

/** What a drawing is made of; asked for anew each time that it is drawn. */
export interface Scene {
  plot: Plot;
  from: number;
  to: number;
  top: number;
  marks: readonly Mark[];
  language: string;
  hasTimes: boolean;
}

export const LEFT = 60;
const TIMES_HIGH = 24;

/** The options of a chart that shows a scene. `probe` is an element for `painted`. */
export function drawing(scene: () => Scene, probe: HTMLElement): Omit<uPlot.Options, "width" | "height"> {
  const { plot, hasTimes } = scene();
  const paint = (colour: string): string => painted(probe, colour);
  const font = `12px ${getComputedStyle(probe).fontFamily}`;
  const axis: uPlot.Axis = {
    font,
    stroke: () => paint("var(--muted)"),
    grid: { stroke: () => paint("var(--line)"), width: 1 },
    ticks: { show: false },
  };
  const series = plot.lines.map((line) => seriesOf(line, paint));
  return {
    legend: { show: false },
    padding: [8, 20, hasTimes ? 0 : 8, 0],
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    scales: {
      x: { time: true, range: () => [scene().from, scene().to] },
      y: { range: () => [0, scene().top] },
    },
    axes: [
      {
        ...axis,
        show: hasTimes,
        size: TIMES_HIGH,
        gap: 4,
        space: 80,
        values: (_, places, __, ___, step) => places.map((at) => tick(at, step, scene().language)),
      },
      {
        ...axis,
        size: LEFT,
        splits: () => [0, scene().top / 2, scene().top],
        values: (_, places) => places.map((at) => scene().plot.show(at)),
      },
    ],
    series: [{}, ...series.flat()],
    bands: bandsOf(plot.lines, paint),
    hooks: { draw: [(chart) => drawOver(chart, scene(), paint, font)] },
  };
}

/** In the order of `drawing`: the most of a line comes before its averages. */
export function dataOf(times: number[], lines: Line[]): uPlot.AlignedData {
  return [times, ...lines.flatMap(({ most, values }) => (most ? [most, values] : [values]))];
}

function seriesOf(line: Line, paint: (colour: string) => string): uPlot.Series[] {
  const stroke = (): string => paint(`var(${line.colour})`);
  const fill = (): string => paint(`color-mix(in srgb, var(${line.colour}) 14%, transparent)`);
  const values: uPlot.Series = {
    stroke,
    width: 1.5,
    spanGaps: false,
    points: { show: true, size: 4, fill: stroke, filter: (chart, at) => lonely(chart.data[at] ?? []) },
    ...(line.isDashed ? { dash: [5, 3] } : { fill }),
  };
  return line.most ? [{ width: 0, spanGaps: false, points: { show: false } }, values] : [values];
}

function bandsOf(lines: Line[], paint: (colour: string) => string): uPlot.Band[] {
  let place = 1;
  return lines.flatMap((line) => {
    const at = place;
    place += line.most ? 2 : 1;
    const fill = (): string => paint(`color-mix(in srgb, var(${line.colour}) 32%, transparent)`);
    return line.most ? [{ series: [at, at + 1] as [number, number], fill }] : [];
  });
}

/** The limit and what happened, over the lines. */
function drawOver(chart: uPlot, scene: Scene, paint: (colour: string) => string, font: string): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.font = font.replace("12px", `${12 * uPlot.pxRatio}px`);
  ctx.lineWidth = uPlot.pxRatio;
  const { limit } = scene.plot;
  if (limit !== null && limit.value <= scene.top) {
    const y = Math.round(chart.valToPos(limit.value, "y", true));
    ctx.strokeStyle = ctx.fillStyle = paint("var(--bad)");
    dashed(ctx, bbox.left, y, bbox.left + bbox.width, y);
    ctx.textAlign = "right";
    ctx.textBaseline = y - bbox.top > 18 * uPlot.pxRatio ? "bottom" : "top";
    ctx.fillText(limit.label, bbox.left + bbox.width - 4, y);
  }
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (const mark of scene.marks) {
    if (mark.at < scene.from || mark.at > scene.to) continue;
    const x = Math.round(chart.valToPos(mark.at, "x", true));
    ctx.strokeStyle = ctx.fillStyle = paint(`var(${mark.colour})`);
    dashed(ctx, x, bbox.top + 14 * uPlot.pxRatio, x, bbox.top + bbox.height);
    ctx.fillText(mark.sign, x, bbox.top);
  }
  ctx.restore();
}

function dashed(ctx: CanvasRenderingContext2D, fromX: number, fromY: number, toX: number, toY: number): void {
  ctx.setLineDash([3 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
  ctx.beginPath();
  ctx.moveTo(fromX, fromY);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}
