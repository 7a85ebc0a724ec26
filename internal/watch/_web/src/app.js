// The pages of vicreg watch. Each names itself by data-page on its main element.
import { table } from './table.js';
import { run } from './run.js';
import { map } from './map.js';
import { clocks } from './live.js';

const main = document.querySelector('main');
const pages = { table, run, map };
clocks();
pages[main.dataset.page]?.(main);
