// Runs before the first paint (a classic script in the head), so that a chosen theme does not flash.
try {
  const { theme } = JSON.parse(localStorage.getItem("prefrl.settings") ?? "{}");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Unreadable settings: settings.js starts them anew.
}
