"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const bubble = find("bubble");
  const BLOCK = 600; // tokens that are drawn together, when they come into view
  const STRONG = 10; // bits that get the strongest colour
  const cache = new Map();
  const pointer = { x: -1, y: -1 }; // where it was last
  let run = 0;

  /** The bytes of a packet: base64, then zlib. */
  async function unpack(text) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Whole numbers from planes of bytes, the low ones first. */
  function numbers(bytes, at, count, width) {
    const found = new Uint32Array(count);
    for (let plane = 0; plane < width; plane++)
      for (let i = 0; i < count; i++) found[i] |= bytes[at + plane * count + i] << (8 * plane);
    return found;
  }

  /** All that is known of the tokens of a run, unpacked once. */
  async function tokensOf(number) {
    if (cache.has(number)) return cache.get(number);
    const own = data.runs[number];
    const count = own.count;
    const lengths = own.lengths ? numbers(await unpack(own.lengths), 0, count, 3) : null;
    const begins = new Uint32Array(count + 1);
    for (let i = 0; i < count; i++) begins[i + 1] = begins[i] + (lengths ? lengths[i] : 1);
    const models = [];
    for (const model of own.models) {
      const bytes = await unpack(model.packet);
      const guesses = [], chances = [];
      let at = 3 * count;
      for (let g = 0; g < model.guesses; g++, at += model.width * count) guesses.push(numbers(bytes, at, count, model.width));
      for (let g = 0; g < model.guesses; g++, at += count) chances.push(bytes.subarray(at, at + count));
      models.push({
        name: model.name, spellings: model.spellings, bits: bytes.subarray(0, count),
        ranks: numbers(bytes, count, count, 2), guesses, chances,
      });
    }
    const cells = own.cells && own.cells.units.length ? { ...own.cells, bytes: await unpack(own.cells.packet) } : null;
    const found = {
      text: data.texts[own.text], count, begins, models, cells,
      scored: own.scored ? await unpack(own.scored) : null,
    };
    cache.set(number, found);
    return found;
  }

  /** A text in a box whose tokens are coloured; blocks of it are drawn when they come into view. */
  class Reader {
    constructor(box) {
      this.box = box;
      this.tokens = null;
      this.now = -1;
      this.observer = new IntersectionObserver(
        (seen) => { for (const each of seen) if (each.isIntersecting) this.draw(each.target); },
        { root: box, rootMargin: "700px" },
      );
      box.addEventListener("pointerover", (event) => {
        const moved = event.clientX !== pointer.x || event.clientY !== pointer.y; // else the page was scrolled
        if (moved && event.target.tagName === "U") this.point(Number(event.target.dataset.i));
      });
      box.addEventListener("pointerdown", (event) => {
        if (event.target.tagName === "U") this.point(Number(event.target.dataset.i));
      });
      box.addEventListener("pointerleave", (event) => {
        if (event.pointerType === "mouse" && document.activeElement !== box) this.leave();
      });
      box.addEventListener("focus", () => { if (this.tokens && box.matches(":focus-visible")) this.point(Math.max(this.now, 0)); });
      box.addEventListener("blur", () => this.leave());
      box.addEventListener("scroll", () => { if (this.now >= 0) this.place(); });
      box.addEventListener("keydown", (event) => this.key(event));
    }

    /** Show the first `count` tokens; `look(i)` is the colour of one, `say(i)` what the bubble says. */
    show(tokens, count, look, say) {
      this.leave();
      this.tokens = tokens;
      this.count = count;
      this.look = look;
      this.say = say;
      this.now = -1;
      this.observer.disconnect();
      const blocks = document.createDocumentFragment();
      for (let first = 0; first < count; first += BLOCK) {
        const block = document.createElement("span");
        block.dataset.first = first;
        block.textContent = tokens.text.slice(tokens.begins[first], tokens.begins[Math.min(first + BLOCK, count)]);
        blocks.append(block);
      }
      this.box.replaceChildren(blocks);
      this.box.scrollTop = 0;
      for (const block of this.box.children) this.observer.observe(block);
    }

    /** Colour what is drawn anew. */
    repaint(look, say) {
      this.look = look;
      this.say = say;
      for (const token of this.box.getElementsByTagName("u")) this.paint(token, Number(token.dataset.i));
      if (this.now >= 0 && !bubble.hidden) this.point(this.now);
    }

    draw(block) {
      if (block.dataset.drawn) return;
      block.dataset.drawn = "1";
      const first = Number(block.dataset.first);
      const { text, begins } = this.tokens;
      const drawn = document.createDocumentFragment();
      for (let i = first; i < Math.min(first + BLOCK, this.count); i++) {
        const token = document.createElement("u");
        token.dataset.i = i;
        token.textContent = text.slice(begins[i], begins[i + 1]);
        this.paint(token, i);
        drawn.append(token);
      }
      block.replaceChildren(drawn);
    }

    paint(token, i) {
      const [tint, strength] = this.look(i);
      token.style.setProperty("--tint", `var(--${tint})`);
      token.style.setProperty("--a", strength.toFixed(2));
      token.classList.toggle("off", tint === "none");
    }

    token(i) {
      const block = this.box.children[Math.floor(i / BLOCK)];
      if (!block) return null;
      this.draw(block);
      return block.children[i % BLOCK];
    }

    point(i) {
      const token = this.token(i);
      if (!token) return;
      for (const before of this.box.querySelectorAll("u.now")) before.classList.remove("now");
      token.classList.add("now");
      this.now = i;
      bubble.replaceChildren(...this.say(i));
      bubble.hidden = false;
      this.place();
    }

    place() {
      const token = this.token(this.now);
      if (!token || bubble.hidden) return;
      const at = token.getClientRects()[0] || token.getBoundingClientRect();
      const width = bubble.offsetWidth, height = bubble.offsetHeight;
      const left = Math.min(Math.max(at.left - 20, 12), document.documentElement.clientWidth - width - 12);
      const below = at.bottom + 10;
      const top = below + height < innerHeight - 8 ? below : at.top - height - 10;
      bubble.style.left = `${left}px`;
      bubble.style.top = `${Math.max(top, 8)}px`;
    }

    /** Hide the bubble if it is about this text. */
    forget() {
      if (this.box.querySelector("u.now")) this.leave();
    }

    leave() {
      bubble.hidden = true;
      for (const token of this.box.querySelectorAll("u.now")) token.classList.remove("now");
    }

    key(event) {
      if (!this.tokens || event.ctrlKey || event.metaKey || event.altKey) return;
      let next = this.now;
      if (event.key === "ArrowRight") next += 1;
      else if (event.key === "ArrowLeft") next -= 1;
      else if (event.key === "ArrowDown") next = this.line(1);
      else if (event.key === "ArrowUp") next = this.line(-1);
      else if (event.key === "Home") next = 0;
      else if (event.key === "End") next = this.count - 1;
      else if (event.key === "Escape") { this.leave(); return; }
      else return;
      event.preventDefault();
      this.go(next);
    }

    go(i) {
      const at = Math.min(Math.max(i, 0), this.count - 1);
      const token = this.token(at);
      if (token) token.scrollIntoView({ block: "nearest", inline: "nearest" });
      this.point(at);
    }

    /** The token in the next line of the screen, or in the one before. */
    line(step) {
      const from = this.token(Math.max(this.now, 0)).getBoundingClientRect();
      let best = this.now, top = null;
      for (let i = this.now + step; i >= 0 && i < this.count && Math.abs(i - this.now) < 400; i += step) {
        const at = this.token(i).getBoundingClientRect();
        if (Math.abs(at.top - from.top) < 4) continue;
        if (top === null) top = at.top;
        if (Math.abs(at.top - top) > 4) break;
        best = i;
        if (step > 0 ? at.right > from.left : at.left <= from.left) break;
      }
      return best;
    }
  }

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const percent = (share) => (share >= 0.0995 ? `${Math.round(share * 100)}%` : share >= 0.00095 ? `${(share * 100).toFixed(1)}%` : "<0.1%");
  const code = (letter) => `U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  /** A token of which something can be seen, whatever is in it. */
  const visible = (text) => {
    const marked = text.replace(/ /g, "\u2423").replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5");
    return /^[\p{C}\p{Z}\p{M}]+$/u.test(marked) ? Array.from(marked, code).join(" ") : marked;
  };

  const heat = new Reader(find("heat"));
  const cells = new Reader(find("cell-text"));
  let model = 0; // of the run's models, or as many as there are for their difference

  const isScored = (tokens, i) => !tokens.scored || tokens.scored[i];
  function surprise(tokens) {
    const [one, other] = tokens.models;
    if (model < tokens.models.length) {
      const { bits } = tokens.models[model];
      return (i) => (isScored(tokens, i) ? ["heat", Math.min(bits[i] / 10 / STRONG, 1) * 0.85] : ["none", 0]);
    }
    return (i) => {
      const gain = (other.bits[i] - one.bits[i]) / 10;
      return isScored(tokens, i) ? [gain > 0 ? "cold" : "heat", Math.min(Math.abs(gain) / 6, 1) * 0.85] : ["none", 0];
    };
  }

  function expected(tokens) {
    const shown = model < tokens.models.length ? [tokens.models[model]] : tokens.models;
    return (i) => {
      const head = element("div", "head");
      head.append(element("span", "token", visible(tokens.text.slice(tokens.begins[i], tokens.begins[i + 1]))));
      const parts = [head];
      if (!isScored(tokens, i)) parts.push(element("div", "said", "given, not predicted"));
      for (const each of shown) {
        const bits = each.bits[i] / 10;
        parts.push(element("div", "said", `${each.name}: ${bits >= 25.5 ? "25 bits or more" : `${bits.toFixed(1)} bits`}, rank ${each.ranks[i].toLocaleString("en")}${each.ranks[i] < 65535 ? "" : " or more"}`));
        const list = element("ol");
        each.guesses.forEach((ids, g) => {
          const share = (each.chances[g][i] / 255) ** 2;
          const item = element("li", each.ranks[i] === g + 1 ? "came" : "");
          const bar = element("span", "bar");
          bar.style.width = `${Math.max(share * 100, 1)}%`;
          item.append(element("code", "", each.spellings[ids[i]]), bar, element("span", "share", percent(share)));
          list.append(item);
        });
        parts.push(list);
      }
      return parts;
    };
  }

  function legend(box, steps, left, right) {
    box.replaceChildren(element("b", "", left), ...steps.map(([tint, strength]) => {
      const swatch = element("i");
      swatch.style.background = `rgba(var(--${tint}), ${strength})`;
      return swatch;
    }), element("b", "", right));
  }

  function heatLegend(tokens) {
    const shares = [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => share * 0.85);
    if (model < tokens.models.length) legend(find("heat-legend"), shares.map((share) => ["heat", share]), "0 bits", `${STRONG} bits or more`);
    else legend(find("heat-legend"), [...shares.slice(1).reverse().map((share) => ["cold", share]), ...shares.map((share) => ["heat", share])],
      `${tokens.models[0].name} better`, `${tokens.models[1].name} better`);
  }

  function modelSwitch(tokens) {
    const box = find("model-switch");
    const names = tokens.models.map((each) => each.name);
    if (names.length > 1) names.push("difference");
    if (model >= names.length) model = 0;
    box.replaceChildren(element("legend", "", "Model"), ...names.map((name, i) => {
      const label = element("label"), input = element("input");
      input.type = "radio";
      input.name = "model";
      input.value = i;
      input.checked = i === model;
      input.addEventListener("change", () => {
        model = i;
        heat.repaint(surprise(tokens), expected(tokens));
        heatLegend(tokens);
      });
      label.append(input, element("span", "", name));
      return label;
    }));
  }

  function unitChooser(tokens) {
    find("cells-tool").hidden = !tokens.cells;
    if (!tokens.cells) return;
    const { units, count, levels, bytes } = tokens.cells;
    const chooser = find("unit");
    const layers = new Set(units.map(([layer]) => layer)).size;
    chooser.replaceChildren(...units.map(([layer, unit, follows, correlation], i) => {
      const sign = correlation < 0 ? "\u2212" : "";
      const option = element("option", "", `${follows}, r = ${sign}${Math.abs(correlation).toFixed(2)}: unit ${unit}${layers > 1 ? ` of layer ${layer}` : ""}`);
      option.value = i;
      return option;
    }));
    const look = (n) => (i) => {
      const value = (bytes[n * count + i] - levels) / levels;
      return [value > 0 ? "heat" : "cold", Math.abs(value) * 0.6];
    };
    const say = (n) => (i) => {
      const value = (bytes[n * count + i] - levels) / levels;
      const head = element("div", "head");
      head.append(element("span", "token", visible(tokens.text.slice(tokens.begins[i], tokens.begins[i + 1]))),
        element("span", "", `${value < 0 ? "\u2212" : ""}${Math.abs(value).toFixed(2)}`));
      return [head, element("div", "said", `${units[n][2]}, unit ${units[n][1]}`)];
    };
    chooser.onchange = () => cells.repaint(look(Number(chooser.value)), say(Number(chooser.value)));
    cells.show(tokens, count, look(0), say(0));
    const shares = [1, 0.75, 0.5, 0.25];
    legend(find("cell-legend"), [...shares.map((share) => ["cold", share * 0.6]), ["heat", 0], ...shares.reverse().map((share) => ["heat", share * 0.6])], "\u22121", "1");
  }

  async function showRun(number) {
    run = number;
    for (const part of document.querySelectorAll(".of-run")) part.hidden = Number(part.dataset.run) !== number;
    const tokens = await tokensOf(number);
    if (run !== number) return;
    for (const reader of document.querySelectorAll(".reader")) reader.classList.toggle("prose", tokens.begins[tokens.count] > 2.2 * tokens.count);
    modelSwitch(tokens);
    heatLegend(tokens);
    heat.show(tokens, tokens.count, surprise(tokens), expected(tokens));
    unitChooser(tokens);
    document.body.dataset.ready = String(number);
  }

  for (const input of document.querySelectorAll('input[name="run"]'))
    input.addEventListener("change", () => showRun(Number(input.value)));
  for (const link of document.querySelectorAll("a[data-token]"))
    link.addEventListener("click", (event) => {
      event.preventDefault();
      find("text").scrollIntoView();
      find("heat").focus({ preventScroll: true });
      heat.go(Number(link.dataset.token));
    });
  addEventListener("scroll", () => { if (!bubble.hidden) { heat.now >= 0 && heat.box.querySelector(".now") ? heat.place() : cells.place(); } }, { passive: true });
  addEventListener("pointermove", (event) => { pointer.x = event.clientX; pointer.y = event.clientY; }, { passive: true });
  addEventListener("pointerdown", (event) => { // a tap beside the text
    for (const reader of [heat, cells]) if (!reader.box.contains(event.target)) reader.forget();
  });
  addEventListener("beforeprint", () => {
    for (const reader of [heat, cells]) for (const block of reader.box.children) if (reader.tokens) reader.draw(block);
  });

  if (typeof DecompressionStream === "undefined") {
    find("heat").textContent = "This browser is too old to unpack the text (it has no DecompressionStream).";
    find("cells-tool").hidden = true;
  } else showRun(0);
})();
