// Draws the page's curves: what they are stands in the page as JSON, how they look in its style.
(() => {
  "use strict";
  const { steps, epochs, marks, charts } = JSON.parse(document.getElementById("data").textContent);
  const dashes = [[], [9, 4], [2, 3], [9, 3, 2, 3], [16, 4]];
  const dash = (hue) => Math.floor(hue.run / 7) % 5;
  const plural = new Intl.NumberFormat("en");
  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const decimals = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
  const powers = new Intl.NumberFormat("en", { notation: "scientific", maximumFractionDigits: 2 });
  const far = (value) => value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-4);
  const id = (curve) => curve.name + JSON.stringify(curve.hue);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // The colour of a run, or of a place between the first layer (0) and the last (1).
  function colour(hue) {
    if ("run" in hue) return css(`--c${hue.run % 7}`);
    const place = hue.depth * 4, below = Math.min(3, Math.floor(place));
    const [a, b] = [below, below + 1].map((i) => css(`--d${i}`).match(/\w\w/g).map((h) => parseInt(h, 16)));
    return `rgb(${a.map((v, i) => Math.round(v + (b[i] - v) * (place - below)))})`;
  }

  function text(parent, tag, content) {
    const element = parent.appendChild(document.createElement(tag));
    element.textContent = content;
    return element;
  }

  function swatch(parent, { hue, style }) {
    const mark = parent.querySelector("i") ?? parent.insertBefore(document.createElement("i"), parent.firstChild);
    mark.style.background = colour(hue);
    mark.style.opacity = style === "faint" ? 0.4 : "";
    mark.className = "run" in hue ? `dash${dash(hue)}` : "";
  }

  const number = (chart, value) => (chart.unit ? decimals : far(value) ? powers : digits).format(value) + chart.unit;

  // The lines of a logarithmic axis: powers of ten, as many as have room; between few of them 2 and 5 times as well.
  function decades(u, _, low, high) {
    const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
    const every = Math.ceil((to - from + 1) / Math.max(2, u.bbox.height / devicePixelRatio / 30));
    const tens = [];
    for (let power = Math.ceil(from / every) * every; power <= to; power += every) tens.push(power);
    const times = every === 1 && tens.length < 4 ? [1, 2, 5] : [1];
    return tens.flatMap((power) => times.map((n) => Number(`${n}e${power}`))).filter((v) => v >= low && v <= high);
  }

  // The vertical range: all that is shown, with air, no less and no more than the chart asks for.
  function range(chart, low, high) {
    if (low == null) return chart.at_least ?? [0, 1];
    if (chart.log) return uPlot.rangeLog(low, high, 10, false);
    const air = (high - low || Math.abs(high) || 1) * 0.06;
    const least = chart.at_least ?? [Infinity, -Infinity], most = chart.at_most ?? [-Infinity, Infinity];
    const edge = (value, asked, by) => ((value - asked) * by > 0 ? value + air * by : asked);
    const from = Math.max(edge(low, least[0], -1), most[0]), to = Math.min(edge(high, least[1], 1), most[1]);
    const line = (to - from) * 0.015;
    return [from - line, to + line];
  }

  // The vertical range of the values and of the bands that are shown.
  function reach(chart, u, low, high) {
    const min = u.scales.x.min ?? -Infinity, max = u.scales.x.max ?? Infinity;
    chart.curves.forEach((curve, i) => {
      if (!curve.low || !u.series[i + 1].show) return;
      curve.x.forEach((x, at) => {
        if (x < min || x > max) return;
        low = Math.min(low ?? curve.low[at], curve.low[at]);
        high = Math.max(high ?? curve.high[at], curve.high[at]);
      });
    });
    return range(chart, low, high);
  }

  // The range over the runs of a case, behind its line.
  function bands(chart) {
    return (u) => {
      const { ctx, bbox } = u, at = (x, y) => [u.valToPos(x, "x", true), u.valToPos(y, "y", true)];
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      ctx.globalAlpha = 0.18;
      chart.curves.forEach((curve, i) => {
        if (!curve.low || !u.series[i + 1].show) return;
        ctx.fillStyle = ctx.strokeStyle = colour(curve.hue);
        ctx.lineWidth = 4 * devicePixelRatio;
        ctx.beginPath();
        curve.x.forEach((x, k) => ctx.lineTo(...at(x, curve.high[k])));
        for (let k = curve.x.length - 1; k >= 0; k -= 1) ctx.lineTo(...at(curve.x[k], curve.low[k]));
        ctx.fill();
        if (curve.x.length === 1) ctx.stroke();
      });
      ctx.restore();
    };
  }

  function guide(chart) {
    return (u) => {
      if (chart.guide == null || chart.guide < u.scales.y.min || chart.guide > u.scales.y.max) return;
      const { ctx, bbox } = u, y = Math.round(u.valToPos(chart.guide, "y", true));
      ctx.save();
      ctx.strokeStyle = css("--muted");
      ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.restore();
    };
  }

  // A vertical line with a word where a start of the run went on. Words take up to three rows; one that has no room is
  // left out.
  function starts(chart) {
    return (u) => {
      const { ctx, bbox } = u, dpr = devicePixelRatio;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = css("--muted");
      ctx.font = `${11 * dpr}px system-ui, sans-serif`;
      ctx.setLineDash([2 * dpr, 3 * dpr]);
      [ctx.lineWidth, ctx.textAlign, ctx.textBaseline] = [dpr, "left", "alphabetic"];
      const free = [bbox.left, bbox.left, bbox.left];
      for (const { step, word } of marks.filter(({ step }) => step >= u.scales.x.min && step <= u.scales.x.max)) {
        const x = Math.round(u.valToPos(step, "x", true)), width = ctx.measureText(word).width + 8 * dpr;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        const right = x + width <= bbox.left + bbox.width, at = right ? x : x - width;
        const row = free.findIndex((from) => at >= from);
        if (chart.small || row < 0) continue;
        ctx.fillText(word, at + 4 * dpr, bbox.top + (10 + 13 * row) * dpr);
        free[row] = at + width;
      }
      ctx.restore();
    };
  }

  // The last point of a curve up to the pointer, if the curve still goes on there.
  function pointed(chart) {
    return (u, i, idx) => {
      if (i === 0) return idx;
      if (u.data[0][idx] > chart.curves[i - 1].x.at(-1)) return null;
      while (idx >= 0 && u.data[i][idx] == null) idx -= 1;
      return idx < 0 ? null : idx;
    };
  }

  // What the curves are at the pointer; of many, the nearest.
  function tip(chart) {
    let box;
    return (u) => {
      const { left, top, idx, idxs } = u.cursor;
      box ??= text(u.over, "div", "");
      box.className = "tip";
      box.hidden = left < 0 || idx == null || !u.over.matches(":hover");
      if (box.hidden) return;
      const step = u.data[0][idx], epoch = epochs.filter((first) => first <= step).length;
      const value = (i) => u.data[i][idxs[i]];
      const away = (i) => Math.abs(u.valToPos(value(i), "y") - top);
      const rows = u.series.map((_, i) => i).filter((i) => i > 0 && u.series[i].show && idxs[i] != null);
      rows.sort((a, b) => away(a) - away(b)).splice(7);
      rows.sort((a, b) => value(b) - value(a));
      box.replaceChildren();
      text(box, "b", `Step ${plural.format(step)}${epochs.length > 1 ? `, epoch ${epoch}` : ""}`);
      for (const i of rows) {
        const { name, hue, style, x, low, high } = chart.curves[i - 1], k = x.indexOf(u.data[0][idxs[i]]);
        const row = text(box, "div", name);
        swatch(row, { hue, style });
        const to = low && k >= 0 ? ` (${number(chart, low[k])} to ${number(chart, high[k])})` : "";
        text(row, "span", number(chart, value(i)) + to);
      }
      const right = left > u.over.clientWidth / 2;
      box.style.left = right ? "" : `${left + 14}px`;
      box.style.right = right ? `${u.over.clientWidth - left + 14}px` : "";
      box.style.top = `${Math.max(0, Math.min(top - 20, u.over.clientHeight - box.offsetHeight))}px`;
    };
  }

  function options(chart, width, height, hidden) {
    const few = (curve) => curve.x.length <= 12;
    const series = chart.curves.map((curve) => {
      const stroke = colour(curve.hue), marked = curve.style === "marked" && curve.x.length <= 40;
      return {
        stroke,
        show: !hidden.has(id(curve)),
        width: { line: chart.small ? 1.5 : 2, faint: 1, marked: 1 }[curve.style],
        alpha: curve.style === "faint" ? 0.3 : 1,
        dash: "run" in curve.hue && curve.style === "line" ? dashes[dash(curve.hue)] : [],
        points: { show: marked || few(curve), size: marked ? 8 : 5, fill: marked ? css("--card") : stroke, width: 2 },
      };
    });
    const axis = { stroke: css("--muted"), font: "12px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: css("--grid"), width: 1 };
    const label = (_, ticks) => ticks.map((v) => (v == null ? "" : number(chart, v)));
    const whole = [1, 2, 5].flatMap((m) => [...Array(9)].map((_, e) => m * 10 ** e)).sort((a, b) => a - b);
    return {
      width, height, series: [{}, ...series],
      legend: { show: false },
      padding: [10, 14, 0, 0],
      cursor: {
        sync: { key: "step", setSeries: false, scales: ["x", null] },
        focus: { prox: chart.curves.length > 4 ? 30 : -1 },
        drag: { x: true, y: false },
        y: false,
        dataIdx: pointed(chart),
        points: { size: 7, fill: (_, i) => colour(chart.curves[i - 1].hue) },
      },
      focus: { alpha: 0.25 },
      scales: {
        x: { time: false, range: (_, a, b) => (a === b ? [a - 1, b + 1] : [a, b]) },
        y: { distr: chart.log ? 3 : 1, range: (u, low, high) => reach(chart, u, low, high) },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 28, space: chart.small ? 48 : 70, incrs: whole, values: (_, t) => t.map((v) => plural.format(v)) },
        { ...axis, grid, size: chart.small ? 42 : 52, space: chart.small ? 32 : 40, values: label,
          ...(chart.log ? { splits: decades, filter: (_, splits) => splits } : {}),
          incrs: chart.unit === "°" ? [1, 5, 10, 15, 30, 45, 90] : undefined },
      ],
      hooks: { drawAxes: [bands(chart)], draw: [guide(chart), starts(chart)], setCursor: [tip(chart)] },
    };
  }

  // A button per curve, which shows and hides it. Many are folded: layers under the scale of their colours.
  function chips(chart, place, hidden, toggle) {
    const curves = [...new Map(chart.curves.map((curve) => [id(curve), curve])).values()];
    if (curves.length < 2) return () => {};
    let parent = place;
    const scale = curves.length > 8 && "depth" in chart.curves[0].hue;
    if (scale) {
      parent = place.appendChild(document.createElement("details"));
      const line = text(text(parent, "summary", ""), "span", "");
      line.className = "scale";
      text(line, "span", curves[0].name);
      line.appendChild(document.createElement("i")).style.background = "linear-gradient(90deg, var(--d0), var(--d1), var(--d2), var(--d3), var(--d4))";
      text(line, "span", curves.at(-1).name);
    } else if (curves.length > 12) {
      parent = place.appendChild(document.createElement("details"));
      text(parent, "summary", `${curves.length} cases`);
    }
    const list = text(parent, "div", "");
    list.className = "chips";
    const buttons = curves.map((curve) => {
      const button = text(list, "button", curve.name);
      button.type = "button";
      button.addEventListener("click", () => toggle(id(curve)));
      return [button, curve];
    });
    return () => {
      for (const [button, curve] of buttons) {
        button.setAttribute("aria-pressed", String(!hidden.has(id(curve))));
        swatch(button, curve);
      }
    };
  }

  function draw(place) {
    const chart = charts[place.dataset.chart], hidden = new Set();
    const data = uPlot.join([[steps], ...chart.curves.map((curve) => [curve.x, curve.y])]);
    let plot, width = 0;
    const paint = () => {
      plot?.destroy();
      width = place.clientWidth;
      plot = new uPlot(options(chart, width, place.clientHeight, hidden), data, place);
      update();
    };
    const toggle = (name) => {
      if (!hidden.delete(name)) hidden.add(name);
      chart.curves.forEach((curve, i) => id(curve) === name && plot.setSeries(i + 1, { show: !hidden.has(name) }));
      update();
    };
    const update = chart.small ? () => {} : chips(chart, place.parentElement, hidden, toggle);
    paint();
    new ResizeObserver(() => {
      if (place.clientWidth !== width) plot.setSize({ width: (width = place.clientWidth), height: place.clientHeight });
    }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  }

  document.querySelectorAll(".plot").forEach(draw);
})();
