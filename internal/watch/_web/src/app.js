// The pages of vicreg watch. Each names itself by data-page on its main element.
import { table } from './table.js';
import { run } from './run.js';
import { clocks } from './live.js';

const main = document.querySelector('main');
const pages = { table, run };
clocks();
pages[main.dataset.page]?.(main);
