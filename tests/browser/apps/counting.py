# A Gradio app: it counts slowly to three, one person at a time, and says whom the gate told it about.
import time

import gradio as gr


def count(request: gr.Request):
    for number in range(1, 4):
        time.sleep(0.2)
        yield f"{number} for {request.headers['X-Forwarded-Email']}"


with gr.Blocks(title="Counting", analytics_enabled=False) as app:
    gr.Markdown("# Counting")
    said = gr.Textbox(label="Said")
    gr.Button("Count").click(count, outputs=said, concurrency_limit=1)

app.queue().launch(server_name="127.0.0.1", share=False)
