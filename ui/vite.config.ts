import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const panel = process.env.PANEL ?? "http://127.0.0.1:3000";

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: "../src/ctrl_alt_play/panel/page/built",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 600,
  },
  server: { proxy: { "/api": { target: panel, ws: true } } },
});
