import type { IFunctionIdentifier, IParser } from "@xterm/xterm";

/** Scroll regions and moves to other rows; clearing what stands there. */
const BEYOND_ITS_LINE: IFunctionIdentifier[] = [..."ABEFHJLMSTdfr"].map((final) => ({ final }));
/** Another screen, a mouse, a hidden cursor: modes of a program that owns its terminal. */
const MODES: IFunctionIdentifier[] = [..."hl"].flatMap((final) => [{ final }, { prefix: "?", final }]);

/** A game's lines stay what they are: colours and moves within the line are done, all that would change other lines is passed over. */
export function keepToLines(parser: IParser): void {
  for (const id of [...BEYOND_ITS_LINE, ...MODES]) parser.registerCsiHandler(id, () => true);
  for (const final of "cDEM") parser.registerEscHandler({ final }, () => true);
}

const SEQUENCES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x08\x0b-\x1f]/g;

/** A line without its colours. */
export function plain(line: string): string {
  return line.replace(SEQUENCES, "");
}
