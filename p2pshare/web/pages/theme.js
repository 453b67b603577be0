// Before anything is drawn, so that no page flashes in the wrong colours.
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? (dark ? "dark" : "light");
