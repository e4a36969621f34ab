// Real apps of PyPI with their own logins off: whoever reaches them may do everything.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program, freePorts } from './process.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const BIN = join(process.env.SIDEGATE_TEST_APPS ?? join(HERE, '../../../target/apps-venv'), 'bin');
const GRADIO = process.env.SIDEGATE_TEST_GRADIO ?? join(HERE, '../../../target/gradio-venv');

// JupyterLab. `arguments` come after those that every operator would give it.
export class JupyterLab {
  constructor({ folder }, args = []) {
    this.home = join(folder, 'jupyter');
    this.args = args;
  }

  async start() {
    const root = join(this.home, 'notebooks');
    await mkdir(root, { recursive: true });
    this.program = new Program(
      join(BIN, 'jupyter-lab'),
      [
        '--ServerApp.ip=127.0.0.1',
        '--ServerApp.port=0',
        '--ServerApp.open_browser=False',
        `--ServerApp.root_dir=${root}`,
        '--IdentityProvider.token=',
        '--allow-root',
        // It asks nobody about news and new versions.
        '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate',
        '--LabApp.news_url=None',
        '--LabApp.extension_manager=readonly',
        ...this.args,
      ],
      { HOME: this.home },
    );
    const [, url] = await this.program.says(/ServerApp\] (http:\/\/127\.0\.0\.1:\d+)\/lab/);
    this.url = url;
  }

  // It ends its kernels, too.
  async stop() {
    await this.program?.stop();
  }
}

// Streamlit, running ../apps/counter.py.
export class Streamlit {
  constructor({ folder }, args = []) {
    this.home = folder;
    this.args = args;
  }

  async start() {
    this.program = new Program(
      join(BIN, 'streamlit'),
      [
        'run',
        join(HERE, '../apps/counter.py'),
        '--server.address=127.0.0.1',
        '--server.port=0',
        '--server.headless=true',
        '--server.fileWatcherType=none',
        '--browser.gatherUsageStats=false',
        ...this.args,
      ],
      { HOME: this.home },
    );
    const [, url] = await this.program.says(/URL: (http:\/\/127\.0\.0\.1:\d+)/);
    this.url = url;
  }

  async stop() {
    await this.program?.stop();
  }
}

// Gradio, running ../apps/counting.py.
export class Gradio {
  constructor({ folder }) {
    this.home = folder;
  }

  async start() {
    const [port] = await freePorts(1);
    this.program = new Program(
      join(GRADIO, 'bin/python'),
      ['-u', join(HERE, '../apps/counting.py')],
      // It asks nobody about anything.
      {
        HOME: this.home,
        GRADIO_SERVER_PORT: String(port),
        GRADIO_ANALYTICS_ENABLED: 'False',
        HF_HUB_OFFLINE: '1',
      },
    );
    const [, url] = await this.program.says(/URL: +(http:\/\/127\.0\.0\.1:\d+)/);
    this.url = url;
  }

  async stop() {
    await this.program?.stop();
  }
}
