// Builds what the pages load: scripts, style sheets, a sprite of icons.
//
// The results are committed. SOURCES holds a digest of everything they were made from, and a
// test compares it, so that a source without its build does not go unseen.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, context } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "static", "dashboard", "dist");

const options = {
  entryPoints: [
    join(here, "scripts", "app.js"),
    join(here, "scripts", "intake.js"),
    join(here, "scripts", "docs.js"),
    join(here, "styles", "app.css"),
    join(here, "styles", "docs.css"),
  ],
  entryNames: "[name]",
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  // The first versions that know `light-dark()`, which the colours are made of.
  target: ["chrome123", "firefox120", "safari17.5"],
  legalComments: "linked",
  logLevel: "info",
};

async function sprite() {
  const names = JSON.parse(await readFile(join(here, "icons.json"), "utf8"));
  const symbols = await Promise.all(
    names.map(async (name) => {
      const path = join(here, "node_modules", "lucide-static", "icons", `${name}.svg`);
      const body = (await readFile(path, "utf8"))
        .replace(/<!--[\s\S]*?-->/, "")
        .replace(/<svg[\s\S]*?>|<\/svg>/g, "")
        .replace(/\s+/g, " ")
        .trim();
      return `<symbol id="${name}" viewBox="0 0 24 24">${body}</symbol>`;
    }),
  );
  const own = (await readFile(join(here, "icons.svg"), "utf8")).trim();
  const licence = "<!-- Icons of Lucide (ISC licence, lucide.dev), and our own. -->";
  return (
    `${licence}\n<svg xmlns="http://www.w3.org/2000/svg" fill="none" stroke="currentColor" ` +
    `stroke-width="2" stroke-linecap="round" stroke-linejoin="round">\n` +
    `${symbols.join("\n")}\n${own}\n</svg>\n`
  );
}

async function digest() {
  const hash = createHash("sha256");
  const files = ["build.mjs", "icons.json", "icons.svg", "package.json", "package-lock.json"];
  for (const folder of ["scripts", "styles"]) {
    files.push(...(await readdir(join(here, folder))).map((name) => `${folder}/${name}`));
  }
  for (const file of files.sort()) {
    hash.update(`${file}\0`).update(await readFile(join(here, file))).update("\0");
  }
  return `${hash.digest("hex")}\n`;
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await writeFile(join(out, "icons.svg"), await sprite());
await writeFile(join(out, "SOURCES"), await digest());
if (process.argv.includes("--watch")) {
  await (await context(options)).watch();
} else {
  await build(options);
}
