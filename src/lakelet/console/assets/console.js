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
    },
    copy(text) { navigator.clipboard?.writeText(text); },
  };
})();
