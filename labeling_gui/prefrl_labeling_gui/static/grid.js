// How many clips lie beside each other where there are several: so many that they are largest.

/**
 * @param {number} n Clips.
 * @param {{width: number, height: number}} room
 * @param {number} ratio Width of a clip in its heights.
 * @param {number} gap
 * @returns {number} Columns.
 */
export function columnsFor(n, { width, height }, ratio, gap) {
  const size = (columns) => {
    const rows = Math.ceil(n / columns);
    return Math.min((width - (columns - 1) * gap) / columns, ((height - (rows - 1) * gap) / rows) * ratio);
  };
  const all = Array.from({ length: n }, (_, i) => i + 1);
  return all.reduce((best, columns) => (size(columns) > size(best) + 0.5 ? columns : best));
}
