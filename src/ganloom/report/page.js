"use strict";
(() => {
  const read = (element) => JSON.parse(element.textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shortNumber = (v) => {
    if (v === null) return "–";
    const size = Math.abs(v);
    if (size && (size < 1e-3 || size >= 1e7)) return v.toExponential(2);
    if (size && size < 0.1) return String(Number(v.toPrecision(3)));
    return size >= 1000 ? Math.round(v).toLocaleString("en").replaceAll(",", "\u2009")
      : v.toFixed(size >= 100 ? 1 : size >= 1 ? 2 : 3);
  };
  const clock = (v) => String(Math.round(v * 1000) / 1000);

  const eventsElement = document.getElementById("events-data");
  const events = eventsElement ? read(eventsElement) : [];
  const charts = all("figure.chart").map((figure) => {
    const data = read(figure.querySelector("script"));
    const values = all(".legend b", figure);
    return {
      data, values,
      svg: figure.querySelector("svg"),
      when: figure.querySelector(".when"),
      cursor: figure.querySelector(".cursor"),
      dots: all(".dot", figure),
      last: values.map((value) => value.textContent),
    };
  });

  // From values to the drawing's own units; the vertical axis may be logarithmic.
  const across = ([low, high, start, end], v) => start + (end - start) * (v - low) / (high - low);
  const upward = ([low, high, start, end, log], v) => log
    ? across([Math.log10(low), Math.log10(high), start, end], Math.log10(v))
    : across([low, high, start, end], v);
  const nearest = (points, kimg) => {
    let low = 0, high = points.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < kimg) low = middle; else high = middle;
    }
    return Math.abs(points[low][0] - kimg) <= Math.abs(points[high][0] - kimg) ? points[low] : points[high];
  };

  let at = null;
  const show = (kimg) => {
    at = kimg;
    for (const chart of charts) {
      const { x, y, s } = chart.data;
      const px = across(x, kimg);
      chart.cursor.setAttribute("x1", px);
      chart.cursor.setAttribute("x2", px);
      chart.cursor.setAttribute("visibility", "visible");
      const close = events.find(([when]) => Math.abs(across(x, when) - px) < 5);
      chart.when.textContent = "kimg " + clock(kimg) + (close ? ", " + close[1] : "");
      s.forEach((points, i) => {
        const [k, v] = nearest(points, kimg);
        chart.values[i].textContent = shortNumber(v);
        const dot = chart.dots[i], py = v === null ? NaN : upward(y, v);
        const inside = py >= y[3] - 1 && py <= y[2] + 1;
        dot.setAttribute("visibility", inside ? "visible" : "hidden");
        if (inside) { dot.setAttribute("cx", across(x, k)); dot.setAttribute("cy", py); }
      });
    }
  };
  const hide = () => {
    at = null;
    for (const chart of charts) {
      chart.when.textContent = "";
      [chart.cursor, ...chart.dots].forEach((element) => element.setAttribute("visibility", "hidden"));
      chart.values.forEach((value, i) => { value.textContent = chart.last[i]; });
    }
  };
  for (const { svg, data } of charts) {
    const [low, high, start, end] = data.x;
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const px = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      show(Math.min(high, Math.max(low, low + (px - start) / (end - start) * (high - low))));
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const times = [...new Set(data.s.flat().map((point) => point[0]))].sort((a, b) => a - b);
      const here = at === null ? times.length : times.filter((t) => t < at - 1e-9).length;
      const there = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: times.length - 1 }[event.key];
      if (event.key === "Escape") hide();
      if (there === undefined) return;
      event.preventDefault();
      show(times[Math.min(times.length - 1, Math.max(0, there))]);
    });
  }

  const slider = document.getElementById("slider");
  if (slider) {
    const grids = read(document.getElementById("grids"));
    const image = document.getElementById("grid"), caption = document.getElementById("grid-caption");
    const play = document.getElementById("play");
    let timer = null;
    const turn = () => {
      const grid = grids[Number(slider.value)];
      image.src = grid.src;
      image.alt = "Samples of the generator at " + grid.caption;
      caption.textContent = grid.caption;
      slider.setAttribute("aria-valuetext", grid.caption);
      show(grid.kimg);
    };
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
    slider.addEventListener("input", () => { stop(); turn(); });
    slider.addEventListener("blur", hide);
    play.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (Number(slider.value) === grids.length - 1) slider.value = 0;
      play.textContent = "Stop";
      turn();
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        turn();
        if (Number(slider.value) === grids.length - 1) stop();
      }, Math.max(80, 6000 / grids.length));
    });
  }

  const copied = async (code) => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return true;
    } catch (refused) {
      getSelection().selectAllChildren(code);
      return document.execCommand("copy");
    }
  };
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      button.textContent = await copied(document.getElementById(button.dataset.copy)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
})();
