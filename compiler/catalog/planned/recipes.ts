/** Recipes of @qrecipe/std that are not written yet. */
export const plannedRecipes: Readonly<Record<string, string>> = {
  dilatequant: 'DilateQuant',
  mixdq: 'MixDQ',
  tfmq: 'TFMQ-DM',
  viditq: 'ViDiT-Q',
  harmonica: 'HarmoniCa',
  cachequant: 'CacheQuant',
  qsched: 'Q-Sched',
  ptsbench: 'PTSBench (post-training sparsity)',
  hawq2: 'HAWQ-V2',
  eda_dm: 'EDA-DM',
};
