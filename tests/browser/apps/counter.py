# A Streamlit app: it counts, and says whom the gate told it about.
import streamlit as st

st.title("Clicks")
st.session_state.setdefault("clicks", 0)
if st.button("Click"):
    st.session_state.clicks += 1
st.write(f"{st.session_state.clicks} clicks by {st.context.headers.get('X-Forwarded-Email')}")
