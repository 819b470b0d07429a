"""What is the state of an object or a component, and what is the cause?"""
