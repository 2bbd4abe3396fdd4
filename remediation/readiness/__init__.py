"""Which pods would break if a registry were flipped from public to private: a pure judgement.

`observation` is what goes in, `facts` what an operator declares, `proof` what was tried; `judge.Judge` takes them one
at a time; `finding` and `verdict` are what comes out. Rules: kubelet and admission of Kubernetes 1.36.
"""
