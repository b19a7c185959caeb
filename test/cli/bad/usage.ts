import { small } from '../small-model.ts';
import { type Bad, w4 } from './types.ts';

const files = { 'm.onnx': small(), 'r.qrecipe': w4 };

export const usage: readonly Bad[] = [
  { name: 'no command of that name', argv: ['complie', 'm.onnx', 'r.qrecipe'], files },
  { name: 'no option of that name', argv: ['compile', 'm.onnx', 'r.qrecipe', '--ouput', 'o.onnx'], files },
  { name: 'an argument is missing', argv: ['compile', 'm.onnx'], files },
  { name: 'an argument too many', argv: ['compile', 'm.onnx', 'r.qrecipe', 'x'], files },
  { name: 'threads is no number', argv: ['compile', 'm.onnx', 'r.qrecipe', '--threads', 'many'], files },
  { name: 'param without a value', argv: ['compile', 'm.onnx', 'r.qrecipe', '--param', 'group'], files },
  { name: 'param given twice', argv: ['compile', 'm.onnx', 'r.qrecipe', '--param', 'a=1', '--param', 'a=2'], files },
  { name: 'dump of an unknown phase', argv: ['compile', 'm.onnx', 'r.qrecipe', '--dump', 'everything'], files },
  { name: 'unknown target', argv: ['compile', 'm.onnx', 'r.qrecipe', '--target', 'toaster'], files },
  { name: 'model and recipe in the wrong order', argv: ['compile', 'r.qrecipe', 'm.onnx'], files },
  { name: 'documentation of an unknown name', argv: ['docs', 'gtpq'], files },
];
