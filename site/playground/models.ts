/** The models that come with the page: fetched when they are chosen, their calibration data when something is compiled. */
import { withBase } from 'vitepress';

export interface Bundled {
  readonly name: string;
  readonly bytes: number;
  readonly calib: readonly string[];
}

type Files = { name: string; blob: Blob }[];

async function get(m: Bundled, path: string, name: string): Promise<Files[number]> {
  const answer = await fetch(withBase(`/models/${m.name}/${path}`));
  if (!answer.ok) throw new Error(`${m.name}/${path} could not be loaded (${answer.status})`);
  return { name, blob: await answer.blob() };
}

export const fetchModel = async (m: Bundled): Promise<Files> => [await get(m, 'model.onnx', 'model.onnx')];
export const fetchData = (m: Bundled): Promise<Files> => Promise.all(m.calib.map((c) => get(m, `calib/${c}`, c)));
