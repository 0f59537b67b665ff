'use strict';
(() => {
  // Choosing parts of the body, and finding a coordinate by name.
  const parts = [...document.querySelectorAll('section.part')];
  const names = [...new Set(parts.map(p => p.dataset.part))];
  const bar = document.getElementById('choose');
  if (bar && names.length > 1) {
    const chosen = new Set();
    const find = document.createElement('input');
    const show = () => {
      const wanted = find.value.trim().toLowerCase();
      for (const part of parts) {
        let any = false;
        for (const panel of part.querySelectorAll('.panel')) {
          const label = (panel.querySelector('b').textContent + ' ' + panel.querySelector('svg').getAttribute('aria-label')).toLowerCase();
          panel.hidden = wanted !== '' && !label.includes(wanted);
          any ||= !panel.hidden;
        }
        part.hidden = !any || (chosen.size > 0 && !chosen.has(part.dataset.part));
      }
      for (const button of bar.querySelectorAll('button')) {
        const name = button.dataset.part;
        button.setAttribute('aria-pressed', name ? chosen.has(name) : chosen.size === 0);
      }
    };
    const add = (label, name) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      if (name) button.dataset.part = name;
      button.onclick = () => {
        if (!name) chosen.clear();
        else if (!chosen.delete(name)) chosen.add(name);
        show();
      };
      bar.append(button);
    };
    add('All');
    for (const name of names) add(name, name);
    find.type = 'search';
    find.placeholder = 'find a coordinate';
    find.setAttribute('aria-label', 'find a coordinate');
    find.oninput = show;
    bar.append(find);
    show();
  }

  // Reading values under the pointer: the lines' own points, mapped back to time and value.
  const points = new WeakMap();
  const read = path => {
    if (!points.has(path)) {
      const all = [];
      let x = 0, y = 0;
      for (const [, op, a, b] of path.getAttribute('d').matchAll(/([Ml])(-?\d+) ?(-?\d+)/g)) {
        x = op === 'M' ? +a : x + +a;
        y = op === 'M' ? +b : y + +b;
        all.push([x, y]);
      }
      points.set(path, all);
    }
    return points.get(path);
  };
  for (const svg of document.querySelectorAll('.panel>svg')) {
    const plot = svg.querySelector('.plot');
    const output = svg.parentElement.querySelector('output');
    if (!plot) continue;
    const [t0, t1] = svg.dataset.t.split(' ').map(Number);
    const [y0, y1] = svg.dataset.y.split(' ').map(Number);
    const [, , width, height] = plot.getAttribute('viewBox').split(' ').map(Number);
    const cursor = document.createElementNS(svg.namespaceURI, 'path');
    cursor.setAttribute('class', 'cursor');
    svg.onpointermove = event => {
      const outer = svg.getBoundingClientRect();
      const scale = outer.width / 300;
      const at = Math.min(Math.max((event.clientX - outer.left - 36 * scale) / (256 * scale), 0), 1);
      const values = [...plot.querySelectorAll('.line')].map(path => {
        const nearest = read(path).reduce((best, p) => Math.abs(p[0] - at * width) < Math.abs(best[0] - at * width) ? p : best, [1e9, 0]);
        const side = path.classList.contains('left') ? 'L ' : path.classList.contains('right') ? 'R ' : '';
        const value = y0 + (1 - nearest[1] / height) * (y1 - y0);
        return side + value.toFixed(svg.dataset.u === ' m' ? 3 : 1) + svg.dataset.u;
      });
      output.textContent = (t0 + at * (t1 - t0)).toFixed(2) + ' s  ' + values.join('  ');
      cursor.setAttribute('d', `M${Math.round(at * width)} 0V${height}`);
      plot.append(cursor);
    };
    svg.onpointerleave = () => { output.textContent = ''; cursor.remove(); };
  }
})();
