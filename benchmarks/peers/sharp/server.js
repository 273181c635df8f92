// sharp behind Fastify: a photo comes as the body, the avatar goes out. `node server.js PORT FOLDER`.
//
// One process: sharp works in libuv's threads, four by default, and so on every core of a machine with up to four.
// sharp's own default of one thread for each picture is kept: it takes less CPU, and requests side by side fill the
// cores. The overlay is decoded once for each size, and Huffman tables are not optimised, as ours are not.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Fastify from "fastify";
import sharp from "sharp";

const [port, folder] = process.argv.slice(2);
const JPEG = { quality: Number(process.env.JPEG_QUALITY), chromaSubsampling: "4:4:4", optimiseCoding: false };
const overlays = new Map();

async function overlayOf(size) {
  if (!overlays.has(size)) {
    const file = readFileSync(join(folder, `overlay-${size}.png`));
    const { data, info } = await sharp(file).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
    overlays.set(size, { input: data, raw: { width: info.width, height: info.height, channels: info.channels } });
  }
  return overlays.get(size);
}

// As sharp's documentation writes it: one pipeline.
async function chained(photo, size) {
  const square = sharp(photo, { autoOrient: true }).resize(size, size, { fit: "cover" });
  return square.composite([await overlayOf(size)]).jpeg(JPEG).toBuffer();
}

// The square is made whole before anything is laid over it: for a large photo that takes less.
async function stepwise(photo, size) {
  const square = sharp(photo, { autoOrient: true }).resize(size, size, { fit: "cover" }).removeAlpha();
  const { data, info } = await square.raw().toBuffer({ resolveWithObject: true });
  const raw = { width: info.width, height: info.height, channels: info.channels };
  return sharp(data, { raw }).composite([await overlayOf(size)]).jpeg(JPEG).toBuffer();
}

const server = Fastify({ bodyLimit: 64_000_000 });
server.addContentTypeParser("image/jpeg", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
for (const [path, draw] of [["/chained", chained], ["/stepwise", stepwise]]) {
  server.post(path, async (request, reply) => {
    const avatar = await draw(request.body, Number(request.query.size));
    return reply.type("image/jpeg").send(avatar);
  });
}
server.get("/healthz", async () => "ok");
await server.listen({ port: Number(port), host: "127.0.0.1" });
