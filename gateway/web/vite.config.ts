import { defineConfig } from 'vite';

// Fixed names: the gateway embeds exactly these files and asks browsers to
// revalidate them, so a hash in a name would only make each build another.
export default defineConfig({
  build: {
    target: 'es2022',
    modulePreload: false, // its polyfill is a script of the page's own that nobody needs
    assetsInlineLimit: 0,
    rollupOptions: {
      output: { entryFileNames: 'app.js', chunkFileNames: '[name].js', assetFileNames: 'style[extname]' },
    },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8080', '/files': 'http://127.0.0.1:8080', '/openapi.yaml': 'http://127.0.0.1:8080' } },
});
