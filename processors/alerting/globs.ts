/**
 * Globs over names: `*` stands for any run of characters, `?` for one. Linear in practice whatever the pattern: no
 * rule file can make matching slow, as a regular expression of many stars could be.
 */

/** Does one of the globs match the whole name? */
export function matchesGlob(globs: string | readonly string[], name: string): boolean {
  return typeof globs === "string" ? matchesOne(globs, name) : globs.some((glob) => matchesOne(glob, name));
}

/** Goes back to the latest star only, which is enough: an earlier one could not take up more than that one can. */
function matchesOne(glob: string, name: string): boolean {
  let g = 0;
  let n = 0;
  let star = -1;
  let resumeAt = 0;
  while (n < name.length) {
    if (glob[g] === "*") {
      star = g++;
      resumeAt = n;
    } else if (glob[g] === "?" || glob[g] === name[n]) {
      g++;
      n++;
    } else if (star >= 0) {
      g = star + 1;
      n = ++resumeAt;
    } else return false;
  }
  while (glob[g] === "*") g++;
  return g === glob.length;
}
