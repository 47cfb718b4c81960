// Bars in plain SVG: less code than a library, and nothing that a strict
// Content-Security-Policy would refuse.
import { useEffect, useRef, useState } from 'preact/hooks';
import { compact } from './text';

export interface Bar { label: string; parts: { value: number; kind: string }[]; title: string }

const H = 200, LEFT = 52, BOTTOM = 28, TOP = 8;
const APART = 84; // pixels from one label below the bars to the next, which is as wide as a date
const CHARACTER = 7; // pixels that one of its characters takes

// Bars draws stacked parts; values below zero hang from the line. shade marks
// the bars from one index to another, both included. It is drawn as wide as there
// is room, so that its text is of one size on a phone and across the page.
export function Bars({ bars, label, shade }: { bars: Bar[]; label: string; shade?: [number, number] }) {
  const svg = useRef<SVGSVGElement>(null);
  const [W, setW] = useState(440);
  useEffect(() => {
    const room = new ResizeObserver(([entry]) => setW(Math.max(160, Math.round(entry!.contentRect.width))));
    room.observe(svg.current!);
    return () => room.disconnect();
  }, []);
  const sum = (b: Bar, up: boolean) => b.parts.reduce((n, p) => n + (p.value > 0 === up ? p.value : 0), 0);
  const top = Math.max(0, ...bars.map(b => sum(b, true))), bottom = Math.min(0, ...bars.map(b => sum(b, false)));
  const range = top - bottom || 1;
  const y = (v: number) => TOP + (top - v) / range * (H - TOP - BOTTOM);
  const slot = (W - LEFT) / Math.max(1, bars.length), width = Math.max(0.6, slot * 0.78);
  const middle = (i: number) => LEFT + (i + 0.5) * slot;
  const every = Math.ceil(bars.length * APART / (W - LEFT));
  const ticks = [...new Set([bottom, 0, top > 1 && Number.isInteger(top) ? Math.floor(top / 2) : top / 2, top])].filter((t, i, all) => all.every((u, j) => j >= i || Math.abs(y(t) - y(u)) > 12));
  return (
    <svg ref={svg} class="chart" viewBox={`0 0 ${W} ${H}`} role="img" aria-label={label}>
      {shade && <rect class="shade" x={LEFT + shade[0] * slot} y={TOP} width={(shade[1] - shade[0] + 1) * slot} height={H - TOP - BOTTOM} />}
      {ticks.map(t => (
        <g key={t}><line class={t === 0 ? 'axis' : 'grid'} x1={LEFT} x2={W} y1={y(t)} y2={y(t)} /><text x={LEFT - 6} y={y(t) + 4} text-anchor="end">{compact(t)}</text></g>
      ))}
      {bars.map((b, i) => {
        let up = 0, down = 0;
        return (
          <g key={i} class="bar">
            <title>{b.title}</title>
            <rect class="hit" x={LEFT + i * slot} y={TOP} width={slot} height={H - TOP - BOTTOM} />
            {b.parts.filter(p => p.value !== 0).map((p, j) => {
              const from = p.value > 0 ? up : down, to = from + p.value;
              if (p.value > 0) up = to; else down = to;
              return <rect key={j} class={p.kind} x={LEFT + i * slot + (slot - width) / 2} y={y(Math.max(from, to))} width={width} height={Math.max(0.8, Math.abs(y(from) - y(to)))} rx={Math.min(2, width / 4)} />;
            })}
            {i % every === 0 && middle(i) + b.label.length * CHARACTER / 2 <= W && <text x={middle(i)} y={H - 6} text-anchor="middle">{b.label}</text>}
          </g>
        );
      })}
    </svg>
  );
}
