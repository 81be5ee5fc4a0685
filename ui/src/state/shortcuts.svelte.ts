const KEY = "shortcuts";

/** Whether single keys do something. They get in the way of some who speak to their machine, and can be turned off. */
class Shortcuts {
  areOn = $state(localStorage.getItem(KEY) !== "off");

  choose(areOn: boolean): void {
    this.areOn = areOn;
    localStorage.setItem(KEY, areOn ? "on" : "off");
  }
}

export const shortcuts = new Shortcuts();
