/** What a terminal would take for orders: colours, movements, titles. */
const ORDERS = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

/** A line of a console without them. */
export function plain(line: string): string {
  return line.replace(ORDERS, "");
}
