"""matmulnbits.py MODEL OUT GROUP: onnxruntime's own four-bit quantizer, symmetric, MatMul only."""
import sys

from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

model, out, group = sys.argv[1], sys.argv[2], int(sys.argv[3])
q = MatMulNBitsQuantizer(model, block_size=group, is_symmetric=True, op_types_to_quantize=("MatMul",))
q.process()
q.model.save_model_to_file(out, use_external_data_format=True)
