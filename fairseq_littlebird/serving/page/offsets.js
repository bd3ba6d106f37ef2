// Offsets of the server count Unicode characters, those of a string in JavaScript UTF-16 units.

/** Translates the one into the other for a text; emoji and rare letters take two units. */
export class Offsets {
  constructor(text) {
    this.wide = [];  // the character index of each character of two units
    if (/[\ud800-\udbff][\udc00-\udfff]/.test(text)) {
      let index = 0;
      for (const character of text) {
        if (character.length === 2) this.wide.push(index);
        index += 1;
      }
    }
    this.characters = text.length - this.wide.length;
  }

  /** The UTF-16 index of a character. */
  unit(character) {
    let low = 0, high = this.wide.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.wide[middle] < character) low = middle + 1; else high = middle;
    }
    return character + low;
  }
}
