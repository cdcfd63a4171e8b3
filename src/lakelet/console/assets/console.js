// Keyboard: g then a letter goes to a page, "/" finds the page's filter, "?" helps.
(() => {
  const pages = { o: "/", l: "/live", d: "/data", q: "/query", i: "/insights", h: "/health" };
  let going = 0;
  const typing = (t) => t.closest("input, textarea, [contenteditable], .cm-editor, .ag-root");
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "g") { going = Date.now(); return; }
    if (Date.now() - going < 1200 && pages[event.key]) { location.href = pages[event.key]; return; }
    if (event.key === "/") {
      const filter = document.querySelector(".lk-filter input");
      if (filter) { filter.focus(); event.preventDefault(); }
    }
    if (event.key === "?") document.getElementById("lk-help")?.showModal();
  });
  window.lakelet = {
    theme() {
      const dark = !Quasar.Dark.isActive;
      Quasar.Dark.set(dark);
      document.cookie = `lakelet_theme=${dark ? "dark" : "light"}; path=/; max-age=31536000; samesite=lax`;
      location.reload(); // editors and charts choose their colours when they are made
    },
    copy(text) { navigator.clipboard?.writeText(text); },
  };
})();

// Completion from the catalog: tables, their columns, and what Athena adds to SQL.
lakelet.complete = async (id, tables) => {
  const cm = await import("nicegui-codemirror");
  const view = getElement(id)?.editor;
  if (!view) return false;
  const words = ["approx_distinct", "approx_percentile", "date_trunc", "date_add", "date_diff", "date_format",
    "from_iso8601_timestamp", "json_extract_scalar", "regexp_like", "regexp_extract", "try_cast", "max_by", "min_by",
    "array_agg", "map_agg", "unnest", "coalesce", "row_number", "lag", "lead", "count_if"];
  const options = [
    ...Object.keys(tables).map((label) => ({ label, type: "class", boost: 2 })),
    ...[...new Set(Object.values(tables).flat())].map((label) => ({ label, type: "property", boost: 1 })),
    ...words.map((label) => ({ label, type: "function" })),
  ];
  const source = (context) => {
    const dotted = context.matchBefore(/(\w+)\.(\w*)/);
    const table = dotted && dotted.text.split(".")[0];
    if (dotted && tables[table]) {
      return { from: dotted.from + table.length + 1, options: tables[table].map((label) => ({ label, type: "property" })) };
    }
    const word = context.matchBefore(/\w+/);
    return word || context.explicit ? { from: word ? word.from : context.pos, options, validFor: /^\w*$/ } : null;
  };
  const data = cm.EditorState.languageData.of(() => [{ autocomplete: source }]);
  view.dispatch({ effects: cm.StateEffect.appendConfig.of(data) });
  view.contentDOM.setAttribute("aria-label", "SQL");
  return Quasar.Dark.isActive;
};
